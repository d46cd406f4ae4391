module postroad.example/bench/gomail

go 1.24.0

require github.com/wneessen/go-mail v0.7.1

require golang.org/x/text v0.29.0 // indirect
