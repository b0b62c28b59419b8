#!/bin/bash
# Makes the seeds that are made: from the examples, seeds.c, and tcpdump's compiler. Those in seeds/assemble/ are
# written by hand. Needs clang, llvm-objcopy, tcpdump; run it from anywhere.
set -euo pipefail
cd "$(dirname "$0")"
examples=../examples
# Line information names files as seen from here: a seed says nothing of the machine that it was made on.
clang=("$(command -v clang-19 || command -v clang)" "-ffile-prefix-map=$PWD=.")
objcopy=$(command -v llvm-objcopy-19 || command -v llvm-objcopy)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

words() { # 32-bit words, little-endian
    for word; do printf '%08x' "$((word & 0xffffffff))" | sed 's/\(..\)\(..\)\(..\)\(..\)/\\x\4\\x\3\\x\2\\x\1/'; done
}
put() { printf "$(words "$@")"; }

# elf: with line information, without it, of the other byte order.
"${clang[@]}" -O2 -g -target bpfel -c seeds.c -o seeds/elf/features.o
"$objcopy" --remove-section=".debug*" --remove-section=".rel.debug*" seeds/elf/features.o
"${clang[@]}" -O2 -target bpfeb -c seeds.c -o seeds/elf/big.o
"$objcopy" --strip-debug $examples/filter.bpf.o seeds/elf/filter.o
(cd .. && cargo run --quiet -- asm fuzz/seeds/assemble/notation.s -o fuzz/seeds/elf/assembled.o)

# decode, checked (a zero: slots follow): code of the examples.
for name in count filter rewrite; do
    section=$([ $name = rewrite ] && echo tc || echo xdp)
    "$objcopy" --dump-section "$section=$work/code" $examples/$name.bpf.o "$work/rest" 2>/dev/null || continue
    head -c 1024 "$work/code" > seeds/decode/$name
    { printf '\0'; cat seeds/decode/$name; } > seeds/checked/$name
done

# verify (what the rest is; kernel, type, rights, log): code of the examples, generated programs, objects, drawn types of a
# kernel.
rm -f seeds/verify/*
for name in count filter rewrite; do
    type=$([ $name = rewrite ] && echo 3 || echo 6)
    { printf '\0\6\'$type'\0\1'; cat seeds/decode/$name; } > seeds/verify/$name
done
{ printf '\3\6\0\0\0'; cat seeds/elf/features.o; } > seeds/verify/object
for seed in 1 2 3 4 5 6 7 8; do
    { printf '\2\'$((seed % 7))'\0\0\'$((seed % 2)); put $seed; head -c 24 /dev/zero; } > seeds/verify/generated$seed
    { printf '\1\6\6\0\0'; head -c $((seed * 64)) seeds/checked/generated$((seed % 4 + 1)); } > seeds/verify/pieces$seed
    drawn=$(for part in $(seq 24); do echo "$seed $part" | sha512sum | cut -c1-128; done | tr -d '\n')
    { printf '\4\6\0\0\'$((seed % 2)); printf "$(sed 's/../\\x&/g' <<<"$drawn")"; } > seeds/verify/types$seed
done

# btf: the length of the first part, .BTF, .BTF.ext; and two sets.
"$objcopy" --dump-section .BTF="$work/btf" --dump-section .BTF.ext="$work/ext" seeds/elf/features.o "$work/rest"
{ put "$(stat -c %s "$work/btf")"; cat "$work/btf" "$work/ext"; } > seeds/btf/features
{ put "$(stat -c %s "$work/btf")"; cat "$work/btf" "$work/btf"; } > seeds/btf/split
cp seeds/btf/features seeds/btf/split seeds/btf_write/

# read_types: an object that asks for fields, and the types that it asks; a module with its distilled base (an `int`, of
# which the module has a typedef), and those types.
"${clang[@]}" -O2 -g -target bpfel -c relocated.c -o "$work/relocated.o"
"$objcopy" --remove-section=".debug*" --remove-section=".rel.debug*" "$work/relocated.o"
"${clang[@]}" -O2 -g -DKERNEL -target bpfel -c relocated.c -o "$work/kernel.o"
"$objcopy" --dump-section .BTF="$work/kernel.btf" "$work/kernel.o" "$work/rest"
echo | "${clang[@]}" -target bpfel -x c -c - -o "$work/empty.o"
"$objcopy" --add-section .BTF="$work/kernel.btf" "$work/empty.o" "$work/kernel.o"
{ put 0x1eb9f 24 0 16 16 5 1 0x1000000 4 0x1000020; printf '\0int\0'; } > "$work/base.btf"
{ put 0x1eb9f 24 0 12 12 7 5 0x8000000 1; printf 'number\0'; } > "$work/module.btf"
"$objcopy" --add-section .BTF="$work/module.btf" --add-section .BTF.base="$work/base.btf" "$work/empty.o" "$work/module.o"
for name in relocated module; do
    { put "$(stat -c %s "$work/$name.o")"; cat "$work/$name.o" "$work/kernel.o"; } > seeds/read_types/$name
done

# link: the length of the first object, and both; of either byte order.
for order in bpfel bpfeb; do
    for other in '' -DOTHER; do
        "${clang[@]}" -O2 -g $other -target $order -c shared.c -o "$work/shared$other.o"
        "$objcopy" --remove-section=".debug*" --remove-section=".rel.debug*" "$work/shared$other.o"
    done
    { put "$(stat -c %s "$work/shared.o")"; cat "$work/shared.o" "$work/shared-DOTHER.o"; } > seeds/link/$order
done

# cbpf: what tcpdump compiles; behind a # what filters are made from.
n=0
for expression in 'tcp port 80' 'ip6 and udp' 'vlan 7 and icmp' 'net 10.0.0.0/8' 'tcp[13] & 2 != 0' 'greater 100'; do
    n=$((n + 1))
    tcpdump -y EN10MB -ddd "$expression" > seeds/cbpf/$n 2>/dev/null
done

# capture: six packets of the example, as Ethernet and as raw IP, compressed, and as pcapng with an interface for each.
tcpdump -r $examples/traffic.pcap -c 6 -w seeds/capture/ethernet.pcap 2>/dev/null
{ put 0xa1b23c4d 0x40002 0 0 65535 101 1 2 20 20; printf 'E%19s'; put 3 4 8 40; printf '\x60%7s'; } > seeds/capture/raw.pcap
gzip -nc seeds/capture/ethernet.pcap > seeds/capture/ethernet.pcap.gz
{
    put 0x0a0d0d0a 28 0x1a2b3c4d 1 -1 -1 28
    put 1 32 1 0 0x10009 6 0 32
    put 1 20 113 0 20
    put 6 40 0 0x60000 0x12345 6 60; printf 'abcdef\0\0'; put 40
    put 3 20 2; printf 'ab\0\0'; put 20
    put 6 52 1 0 0 17 17; printf 'cooked header 17 \0\0\0'; put 52
} > seeds/capture/three.pcapng

# Bytes that programs are made from: any will do.
head -c 20000 $examples/traffic.pcap | gzip -nc > "$work/any"
bytes() { dd if="$work/any" bs=1 skip=$((n * 1000)) count="$1" status=none; }
for n in 1 2 3 4; do
    { printf '#'; bytes 300; } > seeds/cbpf/generated$n
    { printf '\1'; bytes 400; } > seeds/checked/generated$n
    bytes 600 > seeds/programs/generated$n
done
