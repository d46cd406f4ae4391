#pragma once

#include <postroad/queueing/impl/sqlite_database.ipp>

namespace postroad::queueing::detail {

/// The statements of the queue; each is compiled once.
struct sqlite_statements {
    explicit sqlite_statements(database& f) : file(f) {}

    database& file;
    statement begin{file, "BEGIN IMMEDIATE"};
    statement commit{file, "COMMIT"};
    statement data_version{file, "PRAGMA data_version"};
    statement counters{file, "SELECT epoch, jobs, failed, more, place, part, entry FROM totals"};
    statement set_counters{
        file, "UPDATE totals SET epoch = ?, jobs = ?, failed = ?, more = ?, place = ?, part = ?, entry = ?"};
    statement insert{
        file,
        "INSERT INTO jobs(place, state, due, class, id, submitted, deadline, submitter, part, size, facts, "
        "tenant, tag, key, envelope, domain, sum, subject, message_id) "
        "VALUES(?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    statement divide{
        file,
        "INSERT INTO jobs(place, state, due, class, id, submitted, deadline, submitter, part, size, facts, tenant, "
        "tag, envelope, progress, whole, domain, sum, tried, subject, message_id) SELECT ?, 0, 0, class, ?, submitted, "
        "deadline, submitter, part, size, facts, tenant, tag, ?, ?, ?, ?, ?, tried, subject, message_id FROM jobs "
        "WHERE place = ? AND state < 2"};
    statement facts{file, "SELECT facts FROM jobs WHERE place = ?"};
    statement by_whole{file, "SELECT place FROM jobs WHERE whole = ? LIMIT 1"};
    statement goes_on{file, "SELECT place FROM jobs WHERE whole = ? AND state <> 4 LIMIT 1"};
    statement insert_part{file, "INSERT INTO parts(part, octets, sum) VALUES(?, ?, ?)"};
    statement part{file, "SELECT octets, sum FROM parts WHERE part = ?"};
    statement mark{file, "UPDATE jobs SET state = 1, tried = coalesce(tried, ?) WHERE place = ? AND state < 2"};
    statement back{file,
                   "UPDATE jobs SET state = ?, due = ?, deadline = ?, progress = ? WHERE place = ? AND state < 2"};
    statement fail{file,
                   "UPDATE jobs SET state = 4, due = NULL, submitter = 0, failed = ?, progress = ? WHERE place = ? AND "
                   "state < 2"};
    statement begin_anew{
        file,
        "UPDATE jobs SET state = 0, due = 0, submitted = ?, deadline = NULL, failed = NULL, tried = NULL, "
        "progress = ? WHERE place = ? AND state = 4 AND cut IS NULL"};
    statement parts_of_whole{file, "SELECT place FROM jobs WHERE whole = ?"};
    statement lasting_of{file, "SELECT id, tenant, tag, envelope FROM jobs WHERE place = ?"};
    statement cut{file, "UPDATE jobs SET cut = 1, size = ?, facts = ?, sum = ? WHERE place = ?"};
    statement failed_until{file, "SELECT place FROM jobs WHERE failed <= ? ORDER BY failed LIMIT ?"};
    statement erase_job{file, "DELETE FROM jobs WHERE place = ?"};
    statement erase_parts{file, "DELETE FROM parts WHERE part >= ? AND part < ?"};
    statement key_until{file, "SELECT until FROM keys WHERE key = ?"};
    statement set_key{file, "REPLACE INTO keys VALUES(?, ?)"};
    statement expire_keys{file, "DELETE FROM keys WHERE key IN (SELECT key FROM keys WHERE until <= ? LIMIT ?)"};
    statement tell{file, "REPLACE INTO outcomes SELECT id, submitter, ?, envelope, ? FROM jobs WHERE place = ?"};
    statement told{file, "SELECT id, envelope, progress FROM outcomes WHERE submitter = ? LIMIT ?"};
    statement collect{file, "DELETE FROM outcomes WHERE id = ?"};
    statement expire_outcomes{file, "DELETE FROM outcomes WHERE id IN (SELECT id FROM outcomes WHERE at <= ? LIMIT ?)"};
    statement any_over{file,
                       "SELECT EXISTS(SELECT 1 FROM jobs WHERE failed <= ?) OR EXISTS(SELECT 1 FROM keys WHERE until "
                       "<= ?) OR EXISTS(SELECT 1 FROM outcomes WHERE at <= ?)"};
    statement next_class{file, "SELECT place FROM jobs WHERE place >= ? ORDER BY place LIMIT 1"};
    // Two ranges of the table: by one condition, or by an index, it would go through all.
    statement misplaced{file,
                        "SELECT place FROM jobs NOT INDEXED WHERE place < 0 AND state < 2 UNION ALL SELECT place FROM "
                        "jobs NOT INDEXED WHERE place >= ? AND state < 2 LIMIT 200"};
    statement fresh{
        file, "SELECT place, due IS NULL AND state < 2 FROM jobs WHERE place > ? AND place < ? ORDER BY place LIMIT ?"};
    statement delayed{file,
                      "SELECT place, due FROM jobs WHERE class = ? AND due IS NOT NULL AND state < 2 ORDER BY due"};
    statement kept{file,
                   "SELECT place, EXISTS(SELECT 1 FROM jobs INDEXED BY ids WHERE id = j.id AND place = j.place) AND "
                   "EXISTS(SELECT 1 FROM jobs INDEXED BY lines WHERE state = j.state AND (due IS NOT NULL) = (j.due IS "
                   "NOT NULL) AND submitted = j.submitted AND due IS j.due AND place = j.place) AND (j.due IS NULL OR "
                   "EXISTS(SELECT 1 "
                   "FROM jobs INDEXED BY delayed WHERE class = j.class AND due = j.due AND place = j.place)) FROM jobs "
                   "AS j NOT INDEXED WHERE place > ? ORDER BY place LIMIT ?"};
    statement there{file,
                    "SELECT id, place, EXISTS(SELECT 1 FROM jobs AS t NOT INDEXED WHERE t.place = j.place) FROM jobs "
                    "AS j INDEXED BY ids WHERE (id, place) > (?, ?) ORDER BY id, place LIMIT ?"};
    statement retry{file, "UPDATE jobs SET state = 0, due = 0 WHERE place = ? AND state <> 4"};
    statement hold{file, "UPDATE jobs SET state = 2, due = NULL WHERE place = ? AND state <> 4"};
};

}  // namespace postroad::queueing::detail
