// What a durable queue stores of a job: read or refused with a postroad::error, and what was read is written the same.
#include <postroad/core/error.hpp>
#include <postroad/queueing/stored_job.hpp>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace postroad;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    bool was_read = false;
    try {
        const auto e = queueing::read_envelope(text);
        const auto mail = std::make_shared<mail_object>(mail_object{.envelope = e});
        job once{.mail = mail};
        queueing::read_part(text, once);
        queueing::read_progress(text, once);
        was_read = true;
        if (queueing::read_envelope(queueing::written(e)) != e) std::abort();
        job twice{.mail = mail};
        queueing::read_progress(queueing::written_progress(once), twice);
        queueing::read_part(queueing::written_part(once) + queueing::written(e), twice);
        if (twice.whole != once.whole || twice.places != once.places) std::abort();
        if (twice.result.recipients != once.result.recipients || twice.result.details != once.result.details)
            std::abort();
        if (twice.result.attempts != once.result.attempts || twice.error != once.error) std::abort();
    } catch (const error& e) {
        if (was_read || e.code() != errc::storage_damaged) std::abort();
    }
    return 0;
}
