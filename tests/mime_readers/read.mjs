// Reads messages, one a line in hexadecimal, with the reader argv[2] of the folder argv[3], postal-mime or mailparser;
// prints for each what it finds, in the same way as check.py expects it: `key value` lines, then `end`.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , reader, folder] = process.argv;
const require = createRequire(pathToFileURL(`${folder}/`));
const found = (key, value) => process.stdout.write(`${key} ${Buffer.from(value ?? "").toString("hex")}\n`);

async function postalMime(raw) {
  const { default: PostalMime } = await import(pathToFileURL(require.resolve("postal-mime")));
  const mail = await PostalMime.parse(raw, { forceRfc822Attachments: true });
  return { ...mail, attachments: mail.attachments.map((a) => ({ ...a, name: a.filename, id: a.contentId })) };
}

async function mailparser(raw) {
  const { simpleParser } = require("mailparser");
  const options = { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true, skipTextLinks: true };
  const mail = await simpleParser(raw, options);
  const attachments = mail.attachments.map((a) => ({ name: a.filename, id: a.contentId, mimeType: a.contentType, content: a.content }));
  return { ...mail, to: mail.to.value, attachments };
}

for await (const line of createInterface({ input: process.stdin })) {
  const mail = await { "postal-mime": postalMime, mailparser }[reader](Buffer.from(line, "hex"));
  for (const { name, address } of mail.to) found("to", `${name} <${address}>`);
  found("subject", mail.subject);
  if (mail.text !== undefined) found("text", mail.text);
  if (mail.html) found("html", mail.html);
  for (const a of mail.attachments) {
    if (a.mimeType === "message/rfc822") {
      found("nested", /^Subject: *(.*)$/im.exec(Buffer.from(a.content).toString())[1].trim());
      continue;
    }
    found("cid", (a.id ?? "").replace(/^<|>$/g, ""));
    found("name", a.name);
    found("octets", Buffer.from(a.content));
  }
  process.stdout.write("end\n");
}
