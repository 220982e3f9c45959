#!/bin/sh
# Checks for what a build needs and installs the one thing that systems often lack: libpcap with its headers.
# Says what to do where it cannot do it itself. Does nothing, quickly, when everything is there.
set -eu

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# A program that includes the header and links the library: the only answer that counts.
libpcap_works() {
    scratch=$(mktemp -d) || fail "cannot make a folder under ${TMPDIR:-/tmp}; free some space or set TMPDIR"
    printf '#include <pcap/pcap.h>\nint main(void) { return pcap_lib_version() == 0; }\n' >"$scratch/probe.c"
    works=0
    "$compiler" -o "$scratch/probe" "$scratch/probe.c" -lpcap 2>/dev/null || works=1
    rm -rf "$scratch"
    return "$works"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        say "running: sudo $*"
        sudo "$@"
    else
        fail "libpcap's headers are missing and this needs root; run as root: $*"
    fi
}

install_libpcap() {
    if have apt-get; then
        # A fresh image has no package lists, an old one has stale ones: a second try after an update serves both.
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q libpcap-dev >&2 || {
            as_root apt-get update -q >&2
            as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q libpcap-dev >&2
        }
    elif have dnf; then
        as_root dnf install -y -q libpcap-devel >&2
    elif have pacman; then
        as_root pacman -S --needed --noconfirm libpcap >&2
    elif have apk; then
        as_root apk add -q libpcap-dev >&2
    elif have brew; then
        brew install --quiet libpcap >&2
    else
        fail "libpcap's headers are missing and no apt-get, dnf, pacman, apk or brew is here; install libpcap with its headers (the package is often libpcap-dev or libpcap-devel), then run this again"
    fi
}

compiler=${CC:-}
for candidate in cc gcc clang; do
    [ -n "$compiler" ] || ! have "$candidate" || compiler=$candidate
done
[ -n "$compiler" ] && have "$compiler" ||
    fail "no C compiler (cc); install one: apt-get install gcc, dnf install gcc, pacman -S gcc, apk add gcc musl-dev, or on macOS xcode-select --install"
have cargo || fail "no cargo; install Rust from https://rustup.rs, open a new shell, then run this again"

if ! libpcap_works; then
    say "libpcap's headers are missing; installing them"
    install_libpcap || fail "installing libpcap's headers failed; install them by hand (libpcap-dev or libpcap-devel), then run this again"
    libpcap_works || fail "libpcap was installed, but a program that uses it still does not link with $compiler; try: printf '#include <pcap/pcap.h>' | $compiler -E -"
fi
