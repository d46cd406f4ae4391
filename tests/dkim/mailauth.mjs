// Verifies messages, one a line in hexadecimal behind the records of the keys (`record <name> <text>`), with mailauth of
// the folder argv[2]; prints for each how many of its signatures hold.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.argv[2]}/`));
const { dkimVerify } = require("mailauth/lib/dkim/verify");
const records = new Map();
const resolver = async (name) => [[records.get(name)]];

for await (const line of createInterface({ input: process.stdin })) {
  const [word, name, ...text] = line.split(" ");
  if (word === "record") {
    records.set(name.replace(/\.$/, ""), text.join(" "));
    continue;
  }
  const { results } = await dkimVerify(Buffer.from(line, "hex"), { resolver });
  console.log(results.filter((one) => one.status.result === "pass").length);
}
