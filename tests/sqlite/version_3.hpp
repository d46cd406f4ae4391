#pragma once
// A file as version 3 wrote it: what version_2 has, and a journal.

namespace sqlite_test {

// clang-format off
inline constexpr const char* version_3 = R"(
CREATE TABLE jobs(
  place INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,      -- 0 to be sent, 1 being sent, 2 held, 3 in doubt
  due INTEGER,                 -- times are nanoseconds since 1970
  class INTEGER NOT NULL,
  id INTEGER NOT NULL,
  submitted INTEGER NOT NULL,
  deadline INTEGER,
  submitter INTEGER NOT NULL,  -- the queue object that wants to know the outcome; 0: none
  part INTEGER NOT NULL,       -- the first of its content
  size INTEGER NOT NULL,
  facts INTEGER NOT NULL,      -- of the content: flags, and from bit 4 on its longest line
  tenant TEXT,
  tag TEXT,
  key TEXT,
  envelope TEXT NOT NULL,
  progress TEXT, whole INTEGER, domain TEXT, failed INTEGER, sum INTEGER, tried INTEGER, subject TEXT, message_id TEXT, cut INTEGER);
INSERT INTO "jobs" VALUES(1,0,NULL,0,1001,1795930500834677807,NULL,0,1,26,228,NULL,NULL,NULL,'from a@x.example
to Bob@Y.example
',NULL,NULL,'y.example',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(3,0,4949530500850103913,0,1003,1795930500850100848,4981066500850104193,0,3,28,260,NULL,'delayed',NULL,'from a@x.example
to Bob@Y.example
',NULL,NULL,'y.example',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(5,1,NULL,0,1005,1795930500866061241,NULL,0,5,28,260,NULL,'sending',NULL,'from a@x.example
to Bob@Y.example
',NULL,NULL,'y.example',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(6,2,NULL,0,1006,1795930500874070620,NULL,0,6,25,212,NULL,'held',NULL,'from a@x.example
to Bob@Y.example
',NULL,NULL,'y.example',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(7,3,NULL,0,1007,1795930500882064998,NULL,0,7,29,276,NULL,'in doubt',NULL,'from a@x.example
to Bob@Y.example
','attempts 3
error connection_closed
was in_doubt queued
',NULL,'y.example',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(8,0,NULL,0,1008,1795930500890238222,NULL,0,8,30,292,NULL,'senseless',NULL,'to nobody@',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(10,0,0,0,4611686018427387914,1795930500858059422,NULL,0,4,28,260,NULL,'divided',NULL,'part 1004 1 3
from a@x.example
to b@x.example
to d@x.example
',NULL,1004,'x.example',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(11,0,0,0,4611686018427387915,1795930500858059422,NULL,0,4,28,260,NULL,'divided',NULL,'part 1004 2
from a@x.example
to c@y.example
',NULL,1004,'y.example',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(12,4,NULL,0,1009,1795930500890238222,NULL,0,9,28,260,NULL,'failed',NULL,'from a@x.example
to Bob@Y.example
','attempts 1
was rejected rcpt 550 5.1.1 no%20such%20user
',NULL,'y.example',4949530500850103913,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(3602879701896396802,0,NULL,200,1002,1795930500842147702,NULL,0,2,32,324,'acme','first class','order 1','from a@x.example
to Bob@Y.example
',NULL,NULL,'y.example',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE journal(
  entry INTEGER PRIMARY KEY,   -- without gaps, in the order of `settled`
  id INTEGER NOT NULL,
  settled INTEGER NOT NULL,
  submitted INTEGER NOT NULL,
  tried INTEGER,
  class INTEGER NOT NULL,
  size INTEGER NOT NULL,
  tenant TEXT,
  tag TEXT,
  subject TEXT,
  message_id TEXT,
  envelope TEXT NOT NULL,
  progress TEXT,
  sum INTEGER NOT NULL,
  keys BLOB NOT NULL);
CREATE TABLE journal_keys(bucket INTEGER NOT NULL, segment INTEGER NOT NULL, piece INTEGER NOT NULL,
  found BLOB NOT NULL, PRIMARY KEY(bucket, segment, piece)) WITHOUT ROWID;
CREATE TABLE keys(key TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "keys" VALUES('order 1',4949530500850103913);
CREATE TABLE numbers(epoch INTEGER NOT NULL, jobs INTEGER NOT NULL, failed INTEGER NOT NULL, place INTEGER NOT NULL,
  part INTEGER NOT NULL, entry INTEGER NOT NULL);
INSERT INTO "numbers" VALUES(1,8,1,12,10,0);
CREATE TABLE outcomes(id INTEGER PRIMARY KEY, submitter INTEGER NOT NULL, at INTEGER NOT NULL, envelope TEXT NOT NULL,
  progress TEXT NOT NULL);
CREATE TABLE parts(part INTEGER PRIMARY KEY, octets BLOB NOT NULL, sum INTEGER);
INSERT INTO "parts" VALUES(1,X'5375626A6563743A20706C61696E0D0A0D0A2E68656C6C6F0D0A',NULL);
INSERT INTO "parts" VALUES(2,X'5375626A6563743A20666972737420636C6173730D0A0D0A2E68656C6C6F0D0A',NULL);
INSERT INTO "parts" VALUES(3,X'5375626A6563743A2064656C617965640D0A0D0A2E68656C6C6F0D0A',NULL);
INSERT INTO "parts" VALUES(4,X'5375626A6563743A20646976696465640D0A0D0A2E68656C6C6F0D0A',NULL);
INSERT INTO "parts" VALUES(5,X'5375626A6563743A2073656E64696E670D0A0D0A2E68656C6C6F0D0A',NULL);
INSERT INTO "parts" VALUES(6,X'5375626A6563743A2068656C640D0A0D0A2E68656C6C6F0D0A',NULL);
INSERT INTO "parts" VALUES(7,X'5375626A6563743A20696E20646F7562740D0A0D0A2E68656C6C6F0D0A',NULL);
INSERT INTO "parts" VALUES(8,X'5375626A6563743A2073656E73656C6573730D0A0D0A2E68656C6C6F0D0A',NULL);
INSERT INTO "parts" VALUES(9,X'5375626A6563743A2064656C617965640D0A0D0A2E68656C6C6F0D0A',NULL);
CREATE INDEX delayed ON jobs(class, due) WHERE due IS NOT NULL;
CREATE INDEX ids ON jobs(id);
CREATE INDEX keys_until ON keys(until);
CREATE INDEX outcomes_of ON outcomes(submitter);
CREATE INDEX outcomes_at ON outcomes(at);
CREATE INDEX lines ON jobs(state, due IS NOT NULL, submitted, due);
CREATE INDEX domains ON jobs(domain, submitted);
CREATE INDEX tenants ON jobs(tenant, submitted) WHERE tenant IS NOT NULL;
CREATE INDEX tags ON jobs(tag, submitted) WHERE tag IS NOT NULL;
CREATE INDEX wholes ON jobs(whole) WHERE whole IS NOT NULL;
CREATE INDEX failures ON jobs(failed) WHERE failed IS NOT NULL;
PRAGMA application_id = 1886352244;
PRAGMA user_version = 3;
)";
// clang-format on

}  // namespace sqlite_test
