#include <postroad/src.hpp>
