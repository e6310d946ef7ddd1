# The third-party sources that libguard.so holds, read by fetch.sh and build.sh:
#
#   Debian source package   upstream version in Debian   SHA-256 of the upstream archive (.orig.tar.*)
#
# The Debian revision is left open on purpose: it carries security patches over the same upstream archive.
pins='
libunwind 1.6.2       4a6aec666991fb45d0889c44aede8ad6eb108071c3554fcdff671f9c94794976
zlib      1.2.13.dfsg 71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1
cjson     1.7.15      5308fd4bd90cef7aa060558514de6a1a4a0819974a26e6ed13973c5f624c24b2
bzip2     1.0.8       ab5a03176ee106d3f0fa90e381da478ddae405918153cca248e682cd0c4a2269
xz-utils  5.4.1       5d9827aa1875b21c288f78864bb26d2650b436ea8d2cad364e4921eb6266a5a5
lz4       1.9.4       0b0e3aa07c8c063ddf40b082bdf7e37a1562bda40a0ff5272957f3e987e0e54b
libzstd   1.5.4+dfsg2 8cf4bbb65e77ec348d052c8d6230eba66d435bddf64c8b5be2fcb16880c19953
'
