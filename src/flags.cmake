# What every target is compiled with.  The default build is the one that is shipped: optimised, with debug information
# and hardened; a sanitizer build leaves out the hardening that would get in its way.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT BUSFERRY_SANITIZE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

include(CheckLinkerFlag)
include(CheckPIESupported)
check_pie_supported()

set(BUSFERRY_DRIVERS_INSTALLED "${CMAKE_INSTALL_FULL_LIBDIR}/busferry/drivers")

add_library(busferry_flags INTERFACE)
target_compile_definitions(busferry_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64 _TIME_BITS=64
  BUSFERRY_VERSION="${PROJECT_VERSION}"
  BUSFERRY_DRIVERS_INSTALLED="${BUSFERRY_DRIVERS_INSTALLED}"
  BUSFERRY_PROFILES_INSTALLED="${CMAKE_INSTALL_FULL_DATADIR}/busferry/profiles"
  BUSFERRY_PROFILES_SOURCE="${BUSFERRY_PROFILES_SOURCE}")
target_compile_options(busferry_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wformat=2
  -Wnull-dereference -Wimplicit-fallthrough -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings
  -Werror=format-security -Werror=implicit-function-declaration -fno-strict-overflow
  -fno-delete-null-pointer-checks)
target_include_directories(busferry_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)

if(BUSFERRY_WERROR)
  target_compile_options(busferry_flags INTERFACE -Werror)
endif()

if(BUSFERRY_FUZZ)
  target_compile_definitions(busferry_flags INTERFACE BUSFERRY_FUZZ)
  target_compile_options(busferry_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(busferry_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(BUSFERRY_SANITIZE)
  set(sanitize -fsanitize=${BUSFERRY_SANITIZE})
  if(BUSFERRY_SANITIZE STREQUAL "address")
    set(sanitize -fsanitize=address,undefined)
  endif()
  list(APPEND sanitize -fno-sanitize-recover=all)
  target_compile_options(busferry_flags INTERFACE ${sanitize} -O1 -g -fno-omit-frame-pointer)
  target_link_options(busferry_flags INTERFACE ${sanitize})
else()
  set(fortify 2)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
    set(fortify 3)
    target_compile_options(busferry_flags INTERFACE -ftrivial-auto-var-init=zero)
  endif()
  target_compile_options(busferry_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${fortify}
    -fstack-protector-strong -fstack-clash-protection)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    target_compile_options(busferry_flags INTERFACE -fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    target_compile_options(busferry_flags INTERFACE -mbranch-protection=standard)
  endif()
  target_link_options(busferry_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack,-z,defs,--as-needed)
  # A bit for each address that is relocated, instead of 24 bytes.  Debian 12's glibc is the first that reads them (2.36); its
  # linker makes them for PCs only, and warns elsewhere.
  check_linker_flag(C -Wl,--fatal-warnings,-z,pack-relative-relocs BUSFERRY_PACKS_RELOCATIONS)
  if(BUSFERRY_PACKS_RELOCATIONS)
    target_link_options(busferry_flags INTERFACE -Wl,-z,pack-relative-relocs)
  endif()
endif()

# Most of the program runs seldom, and is compiled to be small; what each poll or message passes through is HOT, and compiled
# to be fast, only without padding that starts functions and loops at round addresses.
set(BUSFERRY_SMALL "")
set(BUSFERRY_FAST "")
if(NOT BUSFERRY_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT CMAKE_C_FLAGS MATCHES "-O[0g]")
  set(BUSFERRY_SMALL -Os)
  set(BUSFERRY_FAST -O2)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND BUSFERRY_FAST -fno-align-functions -fno-align-jumps -fno-align-labels -fno-align-loops)
  endif()
endif()

# busferry_floor(NAME SOURCES... LINK lower floors and libraries... HOT those of the sources that are): one floor of the house.
function(busferry_floor name)
  cmake_parse_arguments(floor "" "" "SOURCES;LINK;DOORS;HOT" ${ARGN})
  add_library(busferry_${name} STATIC ${floor_SOURCES})
  target_link_libraries(busferry_${name} PUBLIC busferry_flags ${floor_LINK} PRIVATE ${floor_DOORS})
  target_compile_options(busferry_${name} PRIVATE ${BUSFERRY_SMALL})
  if(floor_HOT)
    set_source_files_properties(${floor_HOT} PROPERTIES COMPILE_OPTIONS "${BUSFERRY_FAST}")
  endif()
endfunction()
