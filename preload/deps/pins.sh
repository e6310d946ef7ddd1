# The third-party sources that libguard.so holds, read by fetch.sh and build.sh:
#
#   Debian source package   upstream version in Debian   SHA-256 of the upstream archive (.orig.tar.*)
#
# The Debian revision is left open on purpose: it carries security patches over the same upstream archive.
pins='
libunwind 1.6.2       4a6aec666991fb45d0889c44aede8ad6eb108071c3554fcdff671f9c94794976
zlib      1.2.13.dfsg 71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1
cjson     1.7.15      5308fd4bd90cef7aa060558514de6a1a4a0819974a26e6ed13973c5f624c24b2
'
