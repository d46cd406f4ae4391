#pragma once
// Peak memory of this process in KiB. Not by getrusage(), which counts what its parent had before exec as well.

#include <cstdlib>
#include <fstream>
#include <string>

inline long peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::atol(line.c_str() + 6);
    return 0;
}
