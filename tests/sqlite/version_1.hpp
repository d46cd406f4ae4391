#pragma once
// A file as version 1 wrote it: a job in each state, a divided message of which one part is over, and one that makes no
// sense.

namespace sqlite_test {

// clang-format off
inline constexpr const char* version_1 = R"(
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
  progress TEXT);
INSERT INTO jobs VALUES(1,0,NULL,0,1001,1795930500834677807,NULL,0,1,26,228,NULL,NULL,NULL,'from a@x.example
to Bob@Y.example
',NULL);
INSERT INTO jobs VALUES(3,0,4949530500850103913,0,1003,1795930500850100848,4981066500850104193,0,3,28,260,NULL,'delayed',NULL,'from a@x.example
to Bob@Y.example
',NULL);
INSERT INTO jobs VALUES(5,1,NULL,0,1005,1795930500866061241,NULL,0,5,28,260,NULL,'sending',NULL,'from a@x.example
to Bob@Y.example
',NULL);
INSERT INTO jobs VALUES(6,2,NULL,0,1006,1795930500874070620,NULL,0,6,25,212,NULL,'held',NULL,'from a@x.example
to Bob@Y.example
',NULL);
INSERT INTO jobs VALUES(7,3,NULL,0,1007,1795930500882064998,NULL,0,7,29,276,NULL,'in doubt',NULL,'from a@x.example
to Bob@Y.example
','attempts 3
error connection_closed
was in_doubt queued
');
INSERT INTO jobs VALUES(8,0,NULL,0,1008,1795930500890238222,NULL,0,8,30,292,NULL,'senseless',NULL,'to nobody@',NULL);
INSERT INTO jobs VALUES(10,0,0,0,6945774243569205250,1795930500858059422,NULL,0,4,28,260,NULL,'divided',NULL,'part 1004 1 3
from a@x.example
to b@x.example
to d@x.example
',NULL);
INSERT INTO jobs VALUES(11,0,0,0,6945774243569205251,1795930500858059422,NULL,0,4,28,260,NULL,'divided',NULL,'part 1004 2
from a@x.example
to c@y.example
',NULL);
INSERT INTO jobs VALUES(3602879701896396802,0,NULL,200,1002,1795930500842147702,NULL,0,2,32,324,'acme','first class','order 1','from a@x.example
to Bob@Y.example
',NULL);
CREATE TABLE keys(key TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO keys VALUES('order 1',4949530500850103913);
CREATE TABLE outcomes(id INTEGER PRIMARY KEY, submitter INTEGER NOT NULL, at INTEGER NOT NULL, envelope TEXT NOT NULL,
  progress TEXT NOT NULL);
CREATE TABLE parts(part INTEGER PRIMARY KEY, octets BLOB NOT NULL);
INSERT INTO parts VALUES(1,X'5375626A6563743A20706C61696E0D0A0D0A2E68656C6C6F0D0A');
INSERT INTO parts VALUES(2,X'5375626A6563743A20666972737420636C6173730D0A0D0A2E68656C6C6F0D0A');
INSERT INTO parts VALUES(3,X'5375626A6563743A2064656C617965640D0A0D0A2E68656C6C6F0D0A');
INSERT INTO parts VALUES(4,X'5375626A6563743A20646976696465640D0A0D0A2E68656C6C6F0D0A');
INSERT INTO parts VALUES(5,X'5375626A6563743A2073656E64696E670D0A0D0A2E68656C6C6F0D0A');
INSERT INTO parts VALUES(6,X'5375626A6563743A2068656C640D0A0D0A2E68656C6C6F0D0A');
INSERT INTO parts VALUES(7,X'5375626A6563743A20696E20646F7562740D0A0D0A2E68656C6C6F0D0A');
INSERT INTO parts VALUES(8,X'5375626A6563743A2073656E73656C6573730D0A0D0A2E68656C6C6F0D0A');
CREATE TABLE state(epoch INTEGER NOT NULL, jobs INTEGER NOT NULL, place INTEGER NOT NULL, part INTEGER NOT NULL);
INSERT INTO state VALUES(1,8,11,9);
CREATE INDEX delayed ON jobs(class, due) WHERE due IS NOT NULL;
CREATE INDEX ids ON jobs(id);
CREATE INDEX keys_until ON keys(until);
CREATE INDEX outcomes_of ON outcomes(submitter);
CREATE INDEX outcomes_at ON outcomes(at);
PRAGMA application_id = 1886352244;
PRAGMA user_version = 1;
)";
// clang-format on

}  // namespace sqlite_test
