// Sends copies of one message by nodemailer's pool of connections.
//
// Usage:  node nodemailer_client.js --file MESSAGE.eml --port N --messages N --connections C [--ca FILE]
'use strict';
const fs = require('fs');
const nodemailer = require('nodemailer');

const options = { port: '2525', messages: '1000', connections: '1' };
for (let i = 2; i + 1 < process.argv.length; i += 2) options[process.argv[i].slice(2)] = process.argv[i + 1];
const content = fs.readFileSync(options.file);
const transport = nodemailer.createTransport({
    host: '127.0.0.1',
    port: Number(options.port),
    name: 'client.example',
    secure: Boolean(options.ca),
    ignoreTLS: !options.ca,
    tls: options.ca ? { ca: fs.readFileSync(options.ca) } : {},
    pool: true,
    maxConnections: Number(options.connections),
    maxMessages: Infinity,
});
const envelope = { from: 'sender@example.com', to: ['recipient@example.com'] };

// A few ahead of each connection, as the pool keeps what waits in memory.
let left = Number(options.messages);
async function send() {
    while (left-- > 0) await transport.sendMail({ envelope, raw: content });
}

Promise.all(Array.from({ length: 4 * options.connections }, send)).then(
    () => {
        transport.close();
        console.log(JSON.stringify({ messages: Number(options.messages) }));
    },
    (error) => {
        console.error(`nodemailer_client: ${error.message}`);
        process.exit(1);
    });
