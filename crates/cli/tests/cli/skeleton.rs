//! `alveary gen skeleton`: headers for libbpf, compiled and used beside bpftool's.

use crate::{golden::golden, session::Session};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const BPFTOOL: &str = "/usr/sbin/bpftool";
const DEBIAN: &str = "/usr/lib/x86_64-linux-gnu/bpf";

/// An object with variables of all kinds, which the tests of the library use too.
fn globals() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../alveary/tests/skeleton/globals.bpf.o")
}

/// Sets variables, loads, attaches nothing, runs the program, and looks at what it left. `TYPES` are those of the object.
const MAIN: &str = r#"
#include <linux/types.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>
enum mode { OFF, COUNT };
struct limit { char name[4]; __u64 bytes; __u32 low : 3, high : 5; };
#include HEADER

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "%s\n", #what); return 1; } } while (0)

int main(int argc, char **argv)
{
	char packet[80] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = 60);
	struct globals *skel = globals__open();
	size_t size;

	CHECK(skel);
	CHECK(!memcmp(globals__elf_bytes(&size), "\x7f" "ELF", 4) && size > 1000);
	CHECK(skel->data->threshold == 1000 && skel->rodata->limits[1].bytes == 100 && skel->rodata->mode == OFF);
	skel->rodata->mode = COUNT;
	skel->rodata->limits[1].bytes = 70;
	skel->bss->seen.packets = 40;
	CHECK(bpf_map__name(skel->maps.lengths) && bpf_program__name(skel->progs.measure) && !skel->links.measure);
	if (argc > 1) {
		CHECK(!globals__load(skel));
		CHECK(!bpf_prog_test_run_opts(bpf_program__fd(skel->progs.measure), &run) && run.retval == 2);
		run.data_size_in = 80;
		run.data_size_out = 0;
		CHECK(!bpf_prog_test_run_opts(bpf_program__fd(skel->progs.measure), &run) && run.retval == 1);
		CHECK(skel->bss->seen.packets == 42 && skel->bss->seen.word == 2);
		skel->data->threshold = 10;
		run.data_size_in = 60;
		run.data_size_out = 0;
		CHECK(!bpf_prog_test_run_opts(bpf_program__fd(skel->progs.measure), &run) && run.retval == 1);
		globals__detach(skel);
	}
	globals__destroy(skel);
	puts("done");
	return 0;
}
"#;

/// The same through the methods that C++ has, which need no prefix.
const METHODS: &str = r#"
#include <linux/types.h>
#include <bpf/bpf.h>
#include <cstdio>
#include <cstring>
enum mode { OFF, COUNT };
struct limit { char name[4]; __u64 bytes; __u32 low : 3, high : 5; };
#include HEADER

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "%s\n", #what); return 1; } } while (0)

int main(int argc, char **argv)
{
	char packet[80] = {};
	bpf_test_run_opts run = {};
	bpf_object_open_opts options = {};
	size_t size;

	options.sz = sizeof(options);
	options.relaxed_maps = true;
	globals *skel = globals::open(&options);
	CHECK(skel && !strcmp(bpf_object__name(skel->obj), "globals"));
	CHECK(!memcmp(globals::elf_bytes(&size), "\x7f" "ELF", 4) && size > 1000);
	CHECK(skel->data->threshold == 1000 && skel->rodata->limits[1].bytes == 100 && skel->rodata->mode == OFF);
	skel->rodata->mode = COUNT;
	if (argc > 1) {
		run.sz = sizeof(run);
		run.data_in = packet;
		run.data_size_in = 60;
		CHECK(!globals::load(skel) && !globals::attach(skel));
		CHECK(!bpf_prog_test_run_opts(bpf_program__fd(skel->progs.measure), &run) && run.retval == 2);
		CHECK(skel->bss->seen.packets == 1);
		globals::detach(skel);
	}
	globals::destroy(skel);
	skel = globals::open();
	CHECK(skel);
	globals::destroy(skel);
	if (argc > 1) {
		skel = globals::open_and_load();
		CHECK(skel && bpf_program__fd(skel->progs.measure) > 0);
		globals::destroy(skel);
	}
	puts("done");
	return 0;
}
"#;

/// The same through a subskeleton of an object that somebody else opened.
const PART: &str = r#"
#include <linux/types.h>
#include <stdio.h>
enum mode { OFF, COUNT };
struct limit { char name[4]; __u64 bytes; __u32 low : 3, high : 5; };
#include HEADER

int main(int argc, char **argv)
{
	struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
	struct globals *part = globals__open(object);

	if (!part || *part->data.threshold != 1000 || (*part->rodata.limits)[1].bytes != 100 || *part->rodata.mode != OFF)
		return 1;
	*part->data.threshold = 5;
	if (!part->maps.lengths || !part->progs.measure || part->bss.seen->packets)
		return 2;
	globals__destroy(part);
	bpf_object__close(object);
	puts("done");
	return 0;
}
"#;

/// Registers a kernel interface with the rest, and takes it out again.
const INTERFACE: &str = r#"
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include HEADER

#define CHECK(what) do { if (!(what)) { fprintf(stderr, "%s\n", #what); return 1; } } while (0)

static int registered(const char *name)
{
	char list[4096] = {};
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_available_congestion_control", "r");
	size_t read = file ? fread(list, 1, sizeof(list) - 1, file) : 0;

	if (file)
		fclose(file);
	return read && strstr(list, name);
}

int main(int argc, char **argv)
{
	struct control *skel = control__open_and_load();

	CHECK(skel && !registered(argv[1]));
	CHECK(!control__attach(skel) && skel->links.plain && registered(argv[1]));
	control__detach(skel);
	CHECK(!skel->links.plain && !registered(argv[1]));
	control__destroy(skel);
	return 0;
}
"#;

/// Compiles a program in C against a header; `None`, and a line about it, if that cannot be done here.
fn compile(test: &str, session: &Session, header: &str, source: &str) -> Option<PathBuf> {
    compile_as("cc", test, session, header, source)
}

/// Compiles a program with one of gcc's compilers.
fn compile_as(compiler: &str, test: &str, session: &Session, header: &str, source: &str) -> Option<PathBuf> {
    if !Path::new("/usr/include/bpf/libbpf.h").exists() {
        eprintln!("SKIP {test}: libbpf-dev is missing");
        return None;
    }
    let program = session.directory().join("program");
    let file = if compiler == "cc" { "program.c" } else { "program.cc" };
    session.write(file, source.as_bytes());
    let define = format!("-DHEADER=\"{header}\"");
    let options = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-unused-function", "-Werror", &define, "-o"];
    let Ok(output) =
        Command::new(compiler).args(options).args(["program", file, "-lbpf"]).current_dir(session.directory()).output()
    else {
        eprintln!("SKIP {test}: {compiler} is missing");
        return None;
    };
    assert!(output.status.success(), "{header}: {}", String::from_utf8_lossy(&output.stderr));
    Some(program)
}

fn bpftool(arguments: &[&str]) -> Option<Output> {
    Command::new(BPFTOOL).args(arguments).output().ok().filter(|output| output.status.success())
}

#[test]
fn a_program_uses_our_header_as_it_uses_bpftools() {
    used_alike("a_program_uses_our_header_as_it_uses_bpftools", "cc", MAIN);
}

#[test]
fn a_program_in_cpp_uses_the_methods_of_our_header_as_those_of_bpftools() {
    used_alike("a_program_in_cpp_uses_the_methods_of_our_header_as_those_of_bpftools", "g++", METHODS);
}

/// A program does what it should with either header.
fn used_alike(test: &str, compiler: &str, source: &str) {
    let session = Session::new();
    let object = globals();
    let object = object.to_str().expect("the path is text");
    let ours = session.output(&format!("gen skeleton {object} name globals")).stdout;
    session.write("ours.h", ours.as_bytes());
    let mut headers = vec!["ours.h"];
    if let Some(theirs) = bpftool(&["gen", "skeleton", object, "name", "globals"]) {
        session.write("theirs.h", &theirs.stdout);
        headers.push("theirs.h");
    }
    let permitted = alveary_testing::bpf::permitted(test);
    for header in headers {
        let Some(program) = compile_as(compiler, test, &session, header, source) else { return };
        let mut run = Command::new(program);
        if permitted {
            run.arg("load");
        }
        let output = run.output().expect("the program can be run");
        assert!(output.status.success(), "{header}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_header_registers_kernel_interfaces() {
    const TEST: &str = "a_header_registers_kernel_interfaces";
    let name = format!("alvskc{}", std::process::id());
    let source = r#"
        struct sock;
        struct tcp_congestion_ops {
            __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
            __u32 (*undo_cwnd)(struct sock *sk); char name[16];
        };
        char LICENSE[] SEC("license") = "GPL";
        SEC("struct_ops") __u32 half(__u64 *ctx) { return 2; }
        SEC("struct_ops") void stay(__u64 *ctx) {}
        SEC("struct_ops") __u32 undo(__u64 *ctx) { return 2; }
        SEC(".struct_ops") struct tcp_congestion_ops plain = {
            .ssthresh = (void *)half, .cong_avoid = (void *)stay, .undo_cwnd = (void *)undo, .name = "NAME",
        };
    "#;
    if !alveary_testing::bpf::permitted(TEST) {
        return;
    }
    let Some(object) = alveary_testing::compile(TEST, &source.replace("NAME", &name), "bpf", &["-g"]) else { return };
    let session = Session::new().file("control.bpf.o", object);
    let header = session.output("gen skeleton control.bpf.o name control").stdout;
    session.write("ours.h", header.as_bytes());
    let Some(program) = compile(TEST, &session, "ours.h", INTERFACE) else { return };
    let output = Command::new(program).arg(&name).output().expect("the program can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_library_finds_its_part_of_an_object() {
    const TEST: &str = "a_library_finds_its_part_of_an_object";
    let session = Session::new();
    let object = globals();
    let object = object.to_str().expect("the path is text");
    let ours = session.output(&format!("gen subskeleton {object} name globals")).stdout;
    session.write("ours.h", ours.as_bytes());
    let Some(program) = compile(TEST, &session, "ours.h", PART) else { return };
    let output = Command::new(program).arg(object).output().expect("the program can be run");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn headers_of_debians_objects_have_the_members_that_bpftools_have() {
    const TEST: &str = "headers_of_debians_objects_have_the_members_that_bpftools_have";
    let (Ok(objects), Some(_)) = (fs::read_dir(DEBIAN), bpftool(&["version"])) else {
        eprintln!("SKIP {TEST}: libxdp1 or bpftool is missing");
        return;
    };
    let mut compared = 0;
    for object in objects {
        let object = object.expect("the directory can be read").path();
        let object = object.to_str().expect("the path is text");
        // What bpftool 7.1 does not open cannot be compared.
        let Some(theirs) = bpftool(&["gen", "skeleton", object, "name", "object"]) else { continue };
        let theirs = String::from_utf8(theirs.stdout).expect("the header is text");
        let session = Session::new();
        let ours = session.output(&format!("gen skeleton {object} name object")).stdout;
        assert_eq!(members(&ours), members(&theirs), "{object}");
        assert_eq!(bytes(&ours), bytes(&theirs), "{object}: the object itself");
        session.write("ours.h", ours.as_bytes());
        // Types of variables are the includer's to know: here only what has none of its own is compiled.
        if !members(&ours).iter().any(|line| line.contains("struct") && !line.contains("struct bpf_")) {
            let main = "#include HEADER\nint main(void) { object__destroy(object__open()); return 0; }";
            let Some(program) = compile(TEST, &session, "ours.h", main) else { return };
            assert!(Command::new(program).output().expect("the program can be run").status.success());
        }
        compared += 1;
    }
    assert!(compared > 10, "only {compared} objects were compared");
}

/// The lines of a header's struct that declare something, in no order: maps have one of their own with each.
fn members(header: &str) -> Vec<&str> {
    let body = header.split_once("\nstruct object {").and_then(|(_, rest)| rest.split_once("#ifdef __cplusplus"));
    let mut lines: Vec<_> = body.expect("the header has the struct").0.lines().map(str::trim).collect();
    lines.retain(|line| line.ends_with(';'));
    lines.sort_unstable();
    lines
}

/// The object in a header.
fn bytes(header: &str) -> String {
    let (_, text) = header.split_once("return (const void *)\"\\\n").expect("the header has the object");
    text.split_once('"').expect("the object ends").0.replace("\\\n", "")
}

#[test]
fn skeletons_are_printed_in_either_language() {
    let session = Session::new().file("globals.bpf.o", fs::read(globals()).expect("it is there"));
    let session = session.run("gen skeleton globals.bpf.o called globals").run("gen skeleton nothing.o");
    golden("skeleton-errors.txt", session.text());
    let c = session.output("gen skeleton globals.bpf.o name globals").stdout;
    let (head, _) = c.split_once("\\x7f").expect("the object is in it");
    golden("skeleton.h", head);
    let rust = session.output("gen skeleton globals.bpf.o name globals --lang rust").stdout;
    let committed = fs::read_to_string(globals().with_file_name("globals.rs")).expect("it is there");
    assert!(rust == committed, "the module of the library's tests is another");
    assert!(
        session.output("--json gen skeleton globals.bpf.o").stdout.starts_with(r#"{"name":"globals_bpf","text":"/*"#)
    );
}
