// Reads messages, one a line in hexadecimal, with enmime; prints for each what it finds, in the same way as check.py
// expects it: `key value` lines, then `end`.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/jhillyerd/enmime"
)

var out = bufio.NewWriter(os.Stdout)
var subject = regexp.MustCompile(`(?mi)^Subject: *(.*?)\r?$`)

func found(key string, value []byte) {
	fmt.Fprintf(out, "%s %s\n", key, hex.EncodeToString(value))
}

func walk(part *enmime.Part) {
	for ; part != nil; part = part.NextSibling {
		switch {
		case part.FirstChild != nil || strings.HasPrefix(part.ContentType, "multipart/"):
			walk(part.FirstChild)
		case part.ContentType == "message/rfc822":
			found("nested", subject.FindSubmatch(part.Content)[1])
		case part.Disposition == "" && part.ContentType == "text/html":
			found("html", part.Content)
		case part.Disposition == "":
			found("text", part.Content)
		default:
			found("cid", []byte(part.ContentID))
			found("name", []byte(part.FileName))
			found("octets", part.Content)
		}
	}
}

func main() {
	// otherwise it guesses at the charset of short texts against what the message says
	parser := enmime.NewParser(enmime.DisableCharacterDetection(true))
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		raw, _ := hex.DecodeString(strings.TrimSpace(line))
		envelope, err := parser.ReadEnvelope(bytes.NewReader(raw))
		if err != nil {
			fmt.Fprintf(out, "error %s\nend\n", hex.EncodeToString([]byte(err.Error())))
			continue
		}
		to, _ := envelope.AddressList("To")
		for _, one := range to {
			found("to", []byte(one.Name+" <"+one.Address+">"))
		}
		found("subject", []byte(envelope.GetHeader("Subject")))
		walk(envelope.Root)
		fmt.Fprintln(out, "end")
	}
	out.Flush()
}
