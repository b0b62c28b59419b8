//! C programs against the libraries: built with the machine's compilers, linked statically and dynamically, run. What
//! they print, or that they are content, is the result. Without a compiler these tests are skipped, and say so.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// What a linker needs besides the static library; docs/c.md says so, too.
const SYSTEM_LIBRARIES: &[&str] = &["-lpthread", "-ldl", "-lm"];

const EXAMPLE: &str = "\
port 80: XDP_PASS, 54 bytes
port 23: XDP_DROP, 54 bytes
stats[0]: 1 packets, 54 bytes
stats[3]: 1 packets, 54 bytes
weight 4200, first byte 40
";

#[derive(Clone, Copy)]
enum Linkage {
    Static,
    Shared,
}

/// Where the libraries are, just built: nothing else builds them for a test.
fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let this = env::current_exe().expect("a test has a file");
        let profile = this.ancestors().nth(2).expect("tests stand in `<target>/<profile>/deps`");
        let name = match profile.file_name().and_then(|name| name.to_str()).expect("a profile has a name") {
            "debug" => "dev",
            other => other,
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--offline", "--package", "alveary-capi", "--profile", name, "--target-dir"]);
        build.arg(profile.parent().expect("a profile stands in a folder")).current_dir(PACKAGE);
        succeeded(&mut build);
        profile.to_owned()
    })
}

/// The machine's program of this name, unless the test is to be skipped.
fn program(test: &str, name: &str) -> Option<String> {
    let there = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("SKIP {test}: `{name}` is not installed");
    }
    there.then(|| name.to_owned())
}

fn succeeded(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    output
}

/// Compiles and links a C program of this package; `None` if there is no compiler.
fn compile(test: &str, source: &str, linkage: Linkage) -> Option<PathBuf> {
    let compiler = program(test, "cc")?;
    let libraries = libraries();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let mut cc = Command::new(compiler);
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_POSIX_C_SOURCE=200809L", "-I", "include"]);
    cc.arg(source).arg("-o").arg(&out).current_dir(PACKAGE);
    match linkage {
        Linkage::Static => cc.arg(libraries.join("libalveary.a")).args(SYSTEM_LIBRARIES),
        Linkage::Shared => cc.arg("-L").arg(libraries).args(["-lalveary", "-lpthread"]),
    };
    succeeded(&mut cc);
    Some(out)
}

fn run(program: &Path, arguments: &[PathBuf]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).env("LD_LIBRARY_PATH", libraries());
    String::from_utf8(succeeded(&mut command).stdout).expect("text")
}

fn example(test: &str, linkage: Linkage) {
    let Some(program) = compile(test, "examples/filter.c", linkage) else { return };
    let printed = run(&program, &[Path::new(PACKAGE).join("../../examples/filter.bpf.o")]);
    let (before, stopped) = printed.split_at(printed.find("stopped: ").unwrap_or(printed.len()));
    assert_eq!(before, EXAMPLE);
    assert!(stopped.starts_with("stopped: stray: instruction 0: load of 1 bytes"), "{stopped}");
    // Its own error: a file that is not there.
    let missing =
        Command::new(&program).arg("missing.o").env("LD_LIBRARY_PATH", libraries()).output().expect("it runs");
    let said = String::from_utf8_lossy(&missing.stderr);
    assert_eq!(missing.status.code(), Some(1));
    assert!(said.starts_with("error[read]: missing.o: ") && said.contains("\nhelp: "), "{said}");
}

#[test]
fn the_example_runs_against_the_static_library() {
    example("the_example_runs_against_the_static_library", Linkage::Static);
}

#[test]
fn the_example_runs_against_the_shared_library() {
    example("the_example_runs_against_the_shared_library", Linkage::Shared);
}

#[test]
fn the_library_does_what_the_header_says() {
    let test = "the_library_does_what_the_header_says";
    let Some(contract) = compile(test, "tests/contract.c", Linkage::Static) else { return };
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kconfig = scratch.join("contract.config");
    std::fs::write(&kconfig, "# the kernel\nCONFIG_HZ=1000\n").expect("a file");
    let mut arguments: Vec<PathBuf> = Vec::new();
    if let Some(clang) = program(test, "clang-19") {
        let headers = format!("/usr/include/{}-linux-gnu", env::consts::ARCH);
        arguments.extend(["calls", "told", "kernel"].map(|name| {
            let object = scratch.join(format!("{name}.bpf.o"));
            let mut command = Command::new(&clang);
            command.args(["-target", "bpf", "-O2", "-g", "-I", &headers, "-c", &format!("tests/{name}.bpf.c"), "-o"]);
            succeeded(command.arg(&object).current_dir(PACKAGE));
            object
        }));
        arguments.push(kconfig);
    }
    assert_eq!(run(&contract, &arguments), "as promised\n");
}

/// The page of documentation shows a whole program: it is what it says.
#[test]
fn the_shortest_program_runs() {
    let test = "the_shortest_program_runs";
    let page = std::fs::read_to_string(Path::new(PACKAGE).join("../../docs/c.md")).expect("the page");
    let code = page.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program in C");
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shortest.c");
    std::fs::write(&source, code).expect("a file");
    let Some(program) = compile(test, source.to_str().expect("a path in UTF-8"), Linkage::Static) else { return };
    let ran = succeeded(Command::new(program).current_dir(Path::new(PACKAGE).join("../..")));
    let printed = String::from_utf8(ran.stdout).expect("text");
    assert_eq!(printed, "XDP_PASS\n");
}

#[test]
fn the_header_is_c_and_cpp() {
    let header = Path::new(PACKAGE).join("include/alveary.h");
    for (compiler, language) in [("cc", ["-x", "c", "-std=c11"]), ("c++", ["-x", "c++", "-std=c++11"])] {
        let Some(compiler) = program("the_header_is_c_and_cpp", compiler) else { continue };
        let mut check = Command::new(compiler);
        check.args(["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]).args(language).arg(&header);
        succeeded(&mut check);
    }
}

#[test]
fn the_header_declares_what_the_library_exports() {
    let test = "the_header_declares_what_the_library_exports";
    let Some(nm) = program(test, "nm") else { return };
    let listed =
        succeeded(Command::new(nm).args(["--dynamic", "--defined-only"]).arg(libraries().join("libalveary.so")));
    let listed = String::from_utf8(listed.stdout).expect("text");
    let exported: BTreeSet<&str> = listed.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    let header = std::fs::read_to_string(Path::new(PACKAGE).join("include/alveary.h")).expect("the header");
    assert_eq!(exported, declared(&header));
}

/// The functions that a header declares: names at the left margin's declarations, before a parenthesis.
fn declared(header: &str) -> BTreeSet<&str> {
    let declarations = header.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let names = declarations.filter(|line| !line.starts_with("typedef")).filter_map(|line| {
        let before = line.split_once('(')?.0;
        before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()
    });
    names.filter(|name| name.starts_with("alveary_")).collect()
}
