'use strict';
// A plugin of Haraka: takes mail for whom there is a Maildir below $MAILDIRS.
const fs = require('node:fs');
const path = require('node:path');
let count = 0;

exports.hook_rcpt = (next, connection, params) =>
  fs.existsSync(path.join(process.env.MAILDIRS, params[0].user, 'Maildir')) ? next(OK) : next(DENY, 'nobody has this address');

exports.hook_queue = (next, connection) => {
  const { rcpt_to, message_stream } = connection.transaction;
  message_stream.get_data((octets) => {
    for (const { user } of rcpt_to) {
      const name = `${process.hrtime.bigint()}.${++count}`;
      const [tmp, to] = ['tmp', 'new'].map((f) => path.join(process.env.MAILDIRS, user, 'Maildir', f));
      fs.writeFileSync(path.join(tmp, name), octets);
      fs.renameSync(path.join(tmp, name), path.join(to, name));
    }
    next(OK);
  });
};
