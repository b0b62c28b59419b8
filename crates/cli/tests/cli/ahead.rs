//! `alveary compile`: libraries linked into C and Rust, which find what the interpreter finds.

use crate::{golden::golden, session::Session};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Gives every packet of a capture to PROGRAM and prints what it returns, with maps that are searched from end to end.
const MAIN: &str = r#"
#include HEADER
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry { struct entry *next; unsigned char *key, *value; };

static void *find(struct alveary_map *map, const void *key)
{
	if (map->type == 2)
		return (char *)map->values + (size_t)*(const uint32_t *)key * map->stride;
	for (struct entry *entry = map->user; entry; entry = entry->next)
		if (!memcmp(entry->key, key, map->key_size))
			return entry->value;
	return NULL;
}

static int64_t update(struct alveary_map *map, const void *key, const void *value)
{
	void *there = find(map, key);

	if (!there) {
		struct entry *entry = calloc(1, sizeof(*entry));

		entry->key = calloc(1, map->key_size);
		there = entry->value = calloc(1, map->value_size + 8);
		memcpy(entry->key, key, map->key_size);
		entry->next = map->user;
		map->user = entry;
	}
	memcpy(there, value, map->value_size);
	return 0;
}

static void *lookup_elem(const struct HELPERS *helpers, struct alveary_map *map, const void *key)
{
	/* BPF_MAP_TYPE_PERCPU_ARRAY: all entries are there. */
	if (map->type == 6 && *(const uint32_t *)key < map->max_entries && !find(map, key)) {
		unsigned char zero[256] = {};

		update(map, key, zero);
	}
	(void)helpers;
	return find(map, key);
}

#ifdef UPDATES
static int64_t update_elem(const struct HELPERS *helpers, struct alveary_map *map, const void *key, const void *value, uint64_t flags)
{
	(void)helpers;
	(void)flags;
	return update(map, key, value);
}
#endif

int main(int argc, char **argv)
{
	struct HELPERS helpers = { .map_lookup_elem = lookup_elem };
	static unsigned char header[24], record[16], packet[65536 + 256];
	FILE *in = fopen(argv[1], "rb");

#ifdef UPDATES
	helpers.map_update_elem = update_elem;
#endif
	PREPARE;
	if (argc != 2 || !in || fread(header, 24, 1, in) != 1)
		return 1;
	while (fread(record, 16, 1, in) == 1) {
		uint32_t length;
		struct alveary_xdp context = { .ingress_ifindex = 1 };

		memcpy(&length, record + 8, 4);
		if (length > 65536 || fread(packet + 256, length, 1, in) != 1)
			return 1;
		context.data = context.data_meta = packet + 256;
		context.data_end = packet + 256 + length;
		printf("%llu\n", (unsigned long long)PROGRAM(&helpers, &context));
	}
	return 0;
}
"#;

/// Calls a program whose variables are the library's, and one that needs nothing at all.
const MEASURE: &str = r#"
#include "globals.h"
#include "short.h"
#include <stdio.h>

static uint64_t total;

static void *lookup_elem(const struct globals_helpers *helpers, struct alveary_map *map, const void *key)
{
	(void)helpers;
	return map == globals_total() && *(const uint32_t *)key == 0 ? &total : NULL;
}

int main(void)
{
	unsigned char packet[200] = { 0 };
	struct globals_helpers helpers = { .map_lookup_elem = lookup_elem };
	struct alveary_xdp context = { .data = packet, .data_end = packet + 60 };

	printf("%d ", (int)is_short(&context));
	printf("%d ", (int)measure(&helpers, &context));
	*(uint64_t *)globals_data() = 10;
	printf("%d ", (int)measure(&helpers, &context));
	context.data_end = packet + 59;
	*(uint64_t *)globals_data() = 1000;
	printf("%d ", (int)is_short(&context));
	printf("%d ", (int)measure(&helpers, &context));
	printf("%d", (int)total);
	return 0;
}
"#;

/// A program that needs nothing: a subprogram looks into the stack frame of its caller.
const SHORT: &str = "\
.section xdp
is_short:
    r2 = *(u32 *)(r1 + 4)
    r1 = *(u32 *)(r1 + 0)
    r2 -= r1
    *(u64 *)(r10 - 8) = r2
    r1 = r10
    r1 += -8
    call least
    r6 = r0
    r0 = 1
    if r6 < 60 goto end
    r0 = 2
end:
    exit

.text
least:
    r0 = *(u64 *)(r1 + 0)
    exit
";

const RUST: &str = r#"
mod count;
use std::ffi::c_void;

unsafe extern "C" fn lookup(_: *const count::Helpers, map: *mut count::AlvearyMap, _: *const c_void) -> *mut c_void {
    // SAFETY: the library's description of a map, and what this program has put there.
    unsafe { (*map).user }
}

unsafe extern "C" fn update(
    _: *const count::Helpers, _: *mut count::AlvearyMap, _: *const c_void, _: *const c_void, _: u64,
) -> i64 {
    0
}

fn main() {
    let mut packet = [0u8; 64];
    let mut counted = [0u64; 2];
    let helpers = count::Helpers { user: std::ptr::null_mut(), map_lookup_elem: lookup, map_update_elem: update };
    let data: *mut c_void = packet.as_mut_ptr().cast();
    let mut context = count::Xdp {
        data, data_end: data.wrapping_byte_add(64), data_meta: data,
        ingress_ifindex: 1, rx_queue_index: 0, egress_ifindex: 0,
    };
    // SAFETY: the helpers do as Linux's: the value that they give has the size of both maps' values.
    let verdict = unsafe {
        (*count::count_kinds()).user = counted.as_mut_ptr().cast();
        count::count(&helpers, &mut context)
    };
    print!("{verdict} {counted:?}");
}
"#;

fn session() -> Session {
    let globals = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alveary/tests/skeleton/globals.bpf.o");
    let globals = fs::read(globals).expect("it is committed");
    let examples = ["count.bpf.o", "filter.bpf.o", "rewrite.bpf.o", "traffic.pcap"];
    examples.into_iter().fold(Session::new(), Session::example).file("globals.bpf.o", globals)
}

/// Runs a compiler in a session's directory; `None` (and a word on stderr) where there is none.
fn compiler(test: &str, session: &Session, name: &str, arguments: &[&str]) -> Option<()> {
    let Ok(output) = Command::new(name).args(arguments).current_dir(session.directory()).output() else {
        eprintln!("SKIP {test}: {name} is missing");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

fn program(session: &Session, name: &str, arguments: &[&str]) -> String {
    let path: PathBuf = session.directory().join(name);
    let Output { status, stdout, stderr } =
        Command::new(path).args(arguments).current_dir(session.directory()).output().expect("it runs");
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

fn compile(session: &Session, line: &str) {
    let output = session.output(line);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}

/// What the interpreter returns for each packet.
fn interpreted(session: &Session, line: &str) -> String {
    compile(session, &format!("run {line} --pcap traffic.pcap --engine interp --packets packets.jsonl"));
    let text = String::from_utf8(session.read("packets.jsonl")).expect("text");
    let value = |line: &str| {
        let (_, rest) = line.split_once("\"value\":").expect("each line has one");
        rest.chars().take_while(char::is_ascii_digit).collect::<String>() + "\n"
    };
    text.lines().map(value).collect()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn c_finds_in_every_packet_what_the_interpreter_finds() {
    let test = "c_finds_in_every_packet_what_the_interpreter_finds";
    let session = session().file("main.c", MAIN);
    let programs = [
        ("count", "-DPREPARE=", "-DUPDATES", "count.bpf.o"),
        // What no other rule is about is dropped.
        ("filter", "-DPREPARE=*(uint32_t*)filter_policy()=1", "-DNONE", "filter.bpf.o --map policy:0=1"),
    ];
    for (name, prepare, updates, run) in programs {
        compile(&session, &format!("compile {name}.bpf.o -o {name}.o --header {name}.h"));
        let defined =
            [format!("-DPROGRAM={name}"), format!("-DHELPERS={name}_helpers"), format!("-DHEADER=\"{name}.h\"")];
        let arguments = ["-Wall", "-Wextra", "-Werror", prepare, updates, "-o", name, "main.c"];
        let object = format!("{name}.o");
        let all: Vec<&str> = arguments.into_iter().chain([&*object]).chain(defined.iter().map(|d| &**d)).collect();
        if compiler(test, &session, "cc", &all).is_none() {
            return;
        }
        let found = program(&session, name, &["traffic.pcap"]);
        assert!(found.lines().count() > 20);
        let interpreted = interpreted(&session, run);
        let differs = found.lines().zip(interpreted.lines()).position(|(found, other)| found != other);
        assert_eq!(differs, None, "{name}: the first packet that differs");
        assert_eq!(found.lines().count(), interpreted.lines().count());
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn shared_libraries_have_variables_and_need_nothing_else() {
    let test = "shared_libraries_have_variables_and_need_nothing_else";
    let session = session().file("main.c", MEASURE).file("short.s", SHORT);
    compile(&session, "asm short.s -o short.o");
    for name in
        ["globals.bpf.o --prog measure -o libglobals.so --header globals.h", "short.o -o libshort.so --header short.h"]
    {
        let output = session.output(&format!("compile {name}"));
        if output.stderr.contains("there is no `cc`") {
            return eprintln!("SKIP {test}: cc is missing");
        }
        assert_eq!(output.code, Some(0), "{}", output.stderr);
    }
    let libraries = ["-L.", "-lglobals", "-lshort", "-Wl,-rpath,$ORIGIN"];
    let arguments = [&["-Wall", "-Werror", "-o", "main", "main.c"], &libraries[..]].concat();
    compiler(test, &session, "cc", &arguments).expect("there is one");
    assert_eq!(program(&session, "main", &[]), "2 2 1 1 2 179");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn rust_calls_a_library_through_its_module() {
    let test = "rust_calls_a_library_through_its_module";
    let session = session().file("main.rs", RUST);
    compile(&session, "compile count.bpf.o -o count.o --rust count.rs");
    let arguments = ["--edition", "2024", "-Dwarnings", "-o", "main", "main.rs", "-Clink-arg=count.o"];
    if compiler(test, &session, "rustc", &arguments).is_some() {
        assert_eq!(program(&session, "main", &[]), "2 [2, 128]");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn names_that_are_words_elsewhere_are_names_here() {
    // A helper `loop` was `pub loop:`; a program `write` was called by whoever writes.
    let test = "names_that_are_words_elsewhere_are_names_here";
    let source = r#"
        static long (*bpf_loop)(__u32 rounds, void *function, void *argument, __u64 flags) = (void *)181;
        static long add(__u32 round, void *sum) { *(__u32 *)sum += round; return 0; }
        SEC("xdp") int write(struct xdp_md *context) { __u32 sum = 0; bpf_loop(5, add, &sum, 0); return sum; }
    "#;
    let Some(object) = crate::compiled::object(test, source) else { return };
    let session = Session::new().file("write.bpf.o", object);
    let output = session.output("compile write.bpf.o -o write.o --header write.h --rust write.rs");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("warning: the function of program `write` has the name"), "{}", output.stderr);
    let text = String::from_utf8(session.read("write.h")).expect("text");
    assert!(text.contains("(*callback_fn)(") && text.contains(", uint64_t flags)"), "{text}");
    let output = session.output("compile write.bpf.o -o ours.o --prefix ours_ --header ours.h --rust ours.rs");
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
    let text = String::from_utf8(session.read("ours.h")).expect("text");
    assert!(text.contains("uint64_t ours_write("), "{text}");
    for module in ["write.rs", "ours.rs"] {
        let arguments = ["--edition", "2024", "-Dwarnings", "--crate-type", "rlib", "-o", "module.rlib", module];
        compiler(test, &session, "rustc", &arguments);
    }
    compiler(test, &session, "cc", &["-Wall", "-Werror", "-fsyntax-only", "-x", "c", "ours.h"]);
    compiler(test, &session, "c++", &["-Wall", "-Werror", "-fsyntax-only", "-x", "c++", "ours.h"]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_library_is_there_with_what_describes_it_or_not_at_all() {
    let session = session();
    let output = session.output("compile count.bpf.o -o count.o --header nowhere/count.h");
    assert_eq!(output.code, Some(1));
    assert!(!session.exists("count.o"));
    let output = session.output("compile count.bpf.o -o count.exe");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("a name that ends in .o or .so"), "{}", output.stderr);
    assert!(!session.exists("count.exe"));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn headers_and_modules_say_what_a_library_has_and_needs() {
    let session = session()
        .run("compile filter.bpf.o -o filter.o --header filter.h --rust filter.rs")
        .run("compile rewrite.bpf.o -o rewrite.o --name nat --header nat.h --json")
        .run("compile globals.bpf.o -o globals.o --header globals.h --rust globals.rs --cpu x86-64-v3");
    let mut text = session.text().to_owned();
    for name in ["filter.h", "filter.rs", "nat.h", "globals.h", "globals.rs"] {
        text += &format!("== {name}\n{}\n", String::from_utf8(session.read(name)).expect("text"));
    }
    golden("compile.txt", &text);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_a_library_cannot_have_is_refused_by_name() {
    let rejected = "\
.section xdp
short:
    r1 = *(u32 *)(r1 + 0)
    r0 = *(u8 *)(r1 + 0)
    exit
";
    let ordinary = ".section xdp\nregister:\n    r0 = 2\n    exit\n.section tc\nnew:\n    r0 = 2\n    exit\n";
    let session = session()
        .file("short.s", rejected)
        .file("word.s", ordinary)
        .run("asm short.s -o short.o")
        .run("compile short.o -o out.o")
        .run("asm word.s -o word.o")
        .run("compile word.o -o out.o")
        .run("compile count.bpf.o -o out.o --prog other")
        .run("compile count.bpf.o -o none/out.so")
        .run("compile count.bpf.o -o count.bpf.o")
        .run("compile count.bpf.o -o out.o --cpu pentium")
        .run("compile count.bpf.o -o out.o --target vax");
    golden("compile-errors.txt", session.text());
    assert!(!session.exists("out.o"));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn without_a_linker_one_error_says_so() {
    let session = session();
    let output = Command::new(env!("CARGO_BIN_EXE_alveary"))
        .args(["compile", "count.bpf.o", "-o", "libcount.so"])
        .current_dir(session.directory())
        .env("CC", "no-such-compiler")
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no `no-such-compiler` to link a shared library with"), "{said}");
    let left: Vec<_> = fs::read_dir(session.directory()).expect("it is there").flatten().collect();
    assert!(left.iter().all(|file| !file.file_name().to_string_lossy().starts_with("libcount")), "{left:?}");
}
