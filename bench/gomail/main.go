// Sends copies of one message by go-mail: one goroutine and one kept connection each.
//
// Usage:  gomail --file MESSAGE.eml --port N --messages N --connections C [--ca FILE]
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"

	"github.com/wneessen/go-mail"
)

var (
	file        = flag.String("file", "", "the message")
	port        = flag.Int("port", 2525, "of the server")
	messages    = flag.Int("messages", 1000, "how many")
	connections = flag.Int("connections", 1, "how many at a time")
	ca          = flag.String("ca", "", "TLS from the first octet, with this certificate to trust")
)

func dialing() ([]mail.Option, error) {
	options := []mail.Option{mail.WithPort(*port), mail.WithHELO("client.example"), mail.WithTLSPolicy(mail.NoTLS)}
	if *ca == "" {
		return options, nil
	}
	pem, err := os.ReadFile(*ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	trust := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	return []mail.Option{mail.WithPort(*port), mail.WithHELO("client.example"), mail.WithSSL(), mail.WithTLSConfig(trust)}, nil
}

func sendAll(share int) error {
	message, err := mail.EMLToMsgFromFile(*file)
	if err != nil {
		return err
	}
	options, err := dialing()
	if err != nil {
		return err
	}
	client, err := mail.NewClient("127.0.0.1", options...)
	if err != nil {
		return err
	}
	all := make([]*mail.Msg, share)
	for i := range all {
		all[i] = message
	}
	return client.DialAndSend(all...)
}

func main() {
	flag.Parse()
	failures := make(chan error, *connections)
	for i := range *connections {
		go func() { failures <- sendAll((*messages + i) / *connections) }()
	}
	for range *connections {
		if err := <-failures; err != nil {
			fmt.Fprintln(os.Stderr, "gomail:", err)
			os.Exit(1)
		}
	}
}
