// Reads messages, one a line in hexadecimal, with mail-parser; prints for each what it finds, in the same way as check.py
// expects it: `key value` lines, then `end`.
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use std::io::{stdin, stdout, BufRead, BufWriter, Write};

fn octets_of(line: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap() as u8;
    line.trim().as_bytes().chunks(2).map(|two| digit(two[0]) << 4 | digit(two[1])).collect()
}

fn found(out: &mut impl Write, key: &str, value: &[u8]) {
    let hex: String = value.iter().map(|c| format!("{c:02x}")).collect();
    writeln!(out, "{key} {hex}").unwrap();
}

fn read(out: &mut impl Write, mail: &Message) {
    for one in mail.to().iter().flat_map(|to| to.iter()) {
        let to = format!("{} <{}>", one.name().unwrap_or(""), one.address().unwrap_or(""));
        found(out, "to", to.as_bytes());
    }
    found(out, "subject", mail.subject().unwrap_or("").as_bytes());
    for part in &mail.parts {
        match &part.body {
            PartType::Multipart(_) => {}
            PartType::Message(nested) => found(out, "nested", nested.subject().unwrap_or("").as_bytes()),
            PartType::Html(text) if part.content_disposition().is_none() => found(out, "html", text.as_bytes()),
            PartType::Text(text) if part.content_disposition().is_none() => found(out, "text", text.as_bytes()),
            _ => {
                found(out, "cid", part.content_id().unwrap_or("").as_bytes());
                found(out, "name", part.attachment_name().unwrap_or("").as_bytes());
                found(out, "octets", part.contents());
            }
        }
    }
}

fn main() {
    let mut out = BufWriter::new(stdout());
    for line in stdin().lock().lines() {
        let raw = octets_of(&line.unwrap());
        match MessageParser::default().parse(&raw) {
            Some(mail) => read(&mut out, &mail),
            None => found(&mut out, "error", b"no message"),
        }
        writeln!(out, "end").unwrap();
    }
}
