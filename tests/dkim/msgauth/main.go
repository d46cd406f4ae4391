// Verifies messages, one a line in hexadecimal behind the records of the keys (`record <name> <text>`), with go-msgauth;
// prints for each how many of its signatures hold.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

func main() {
	records := map[string]string{}
	look := func(name string) ([]string, error) {
		return []string{records[strings.TrimSuffix(name, ".")]}, nil
	}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if words := strings.SplitN(strings.TrimSpace(line), " ", 3); words[0] == "record" {
			records[strings.TrimSuffix(words[1], ".")] = words[2]
			continue
		}
		raw, _ := hex.DecodeString(strings.TrimSpace(line))
		found, _ := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: look})
		good := 0
		for _, one := range found {
			if one.Err == nil {
				good++
			}
		}
		fmt.Println(good)
	}
}
