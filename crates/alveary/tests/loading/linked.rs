//! Linked objects do what their sources say: with each thing that linking decides, and however a source is split.

use alveary::{Object, Target};
use alveary_object::{Input, link};
use alveary_testing::{Draw, compile};
use std::{fs, path::Path, process::Command};

const BPFTOOL: &str = "/usr/sbin/bpftool";

/// What the program `entry` of an object returns for packets of these lengths, one after the other.
fn returns(object: &[u8], lengths: &[usize]) -> Vec<u32> {
    let loaded = Object::parse(object).unwrap().load(Target::user()).unwrap();
    let entry = loaded.program("entry").unwrap();
    let bytes = [0x5a; 1500];
    let run = |length: &usize| entry.run(&bytes[..*length]).unwrap().value;
    lengths.iter().map(run).collect()
}

fn linked(objects: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<String> = (0..objects.len()).map(|i| format!("{i}.o")).collect();
    let inputs: Vec<_> = names.iter().zip(objects).map(|(name, bytes)| Input { name, bytes }).collect();
    let linked = link(&inputs).unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!(linked, link(&inputs).unwrap(), "the same inputs give the same bytes");
    linked
}

/// What bpftool links; `None` without it.
fn linked_by_bpftool(test: &str, objects: &[Vec<u8>]) -> Option<Vec<u8>> {
    if !Path::new(BPFTOOL).exists() {
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(BPFTOOL);
    let output = folder.join("linked.o");
    command.args(["gen", "object"]).arg(&output);
    for (i, bytes) in objects.iter().enumerate() {
        let file = folder.join(format!("{i}.o"));
        fs::write(&file, bytes).unwrap();
        command.arg(file);
    }
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let bytes = fs::read(&output).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    Some(bytes)
}

const SHARED: &str = r#"
struct counts { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); };
static noinline int local(int x) { return x * FACTOR; }
static volatile int kept = FACTOR;
"#;

const ENTRY: &str = r#"
#define FACTOR 3
%SHARED%
extern struct counts counts SEC(".maps");
extern int scaled(int x);
extern int chosen(void);
extern int total;
extern const volatile int limit;
__attribute__((weak)) noinline int chosen(void) { return 1; }
__attribute__((weak)) int unsure = 5;
noinline int own(int x) { kept++; return local(x) + kept; }
SEC("xdp") int entry(struct xdp_md *ctx) {
    int length = ctx->data_end - ctx->data;
    __u32 key = 1;
    __u64 *count = bpf_map_lookup_elem(&counts, &key);
    if (!count || length > limit) return 0;
    *count += length;
    total += scaled(length) + own(length) + chosen() * 1000000 + unsure * 10000000;
    return total + *count;
}
char _license[] SEC("license") = "GPL";
"#;

const OTHER: &str = r#"
#define FACTOR 7
%SHARED%
struct counts counts SEC(".maps");
int total = 40;
int unsure = 2;
const volatile int limit = 1000;
__attribute__((weak)) noinline int chosen(void) { return 2; }
noinline int scaled(int x) { kept += 2; return local(x) + kept; }
char text[] SEC("license") = "GPL";
"#;

#[test]
fn what_one_object_declares_is_what_another_one_defines() {
    let test = "what_one_object_declares_is_what_another_one_defines";
    let object = |source: &str| compile(test, &source.replace("%SHARED%", SHARED), "bpfel", &["-g", "-mcpu=v3"]);
    let (Some(entry), Some(other)) = (object(ENTRY), object(OTHER)) else { return };
    // Of the weak `chosen` the first stands, of `unsure` the strong one.
    let value = |chosen: u32| {
        let first = 40 + (100 * 7 + 9) + (100 * 3 + 4) + chosen * 1_000_000 + 20_000_000;
        let second = first + (60 * 7 + 11) + (60 * 3 + 5) + chosen * 1_000_000 + 20_000_000;
        vec![first + 100, second + 160, 0]
    };
    let lengths = [100, 60, 1001];
    assert_eq!(returns(&linked(&[entry.clone(), other.clone()]), &lengths), value(1));
    assert_eq!(returns(&linked(&[other.clone(), entry.clone()]), &lengths), value(2));
    // What was linked can be linked again.
    let nothing = compile(test, "char _license[] SEC(\"license\") = \"GPL\";", "bpfel", &["-g"]).unwrap();
    let both = linked(&[entry, other]);
    let again = linked(&[nothing, both.clone()]);
    assert_eq!(returns(&again, &lengths), value(1));
    let spec = Object::parse(&again).unwrap();
    let data = spec.spec().btf.as_ref().unwrap();
    let section = data.find(".data", alveary_btf::Kind::DataSec).and_then(|id| data.ty(id));
    let Some(alveary_btf::Type::DataSec(section)) = section else { panic!("no `.data`") };
    let variables: Vec<_> = section.vars().map(|v| (data.name(v.ty).to_owned(), v.offset)).collect();
    // Static variables of one name each have their place; the weak `unsure` stays in front of all, and is not listed.
    let expected = [("kept", 4), ("total", 8), ("unsure", 12), ("kept", 16)];
    assert_eq!(variables, expected.map(|(name, at)| (name.to_owned(), at)));
}

/// A program of many parts: what all sources declare, and the definitions.
struct Parts {
    declarations: String,
    definitions: Vec<String>,
}

const SECTIONS: [&str; 4] = ["", " SEC(\".data.more\")", " SEC(\".bss.more\")", " SEC(\".data\")"];

/// Variables, maps and functions that call those before them.
fn parts(random: &mut Draw) -> Parts {
    let mut parts = Parts { declarations: String::new(), definitions: Vec::new() };
    let (variables, functions) = (1 + random.below(6), 2 + random.below(8));
    let mut sum = String::from("0");
    for v in 0..variables {
        let ty = ["char", "short", "int", "long"][random.below(4) as usize];
        let section = SECTIONS[random.below(4) as usize];
        let value = if section.contains("bss") || random.below(3) == 0 { 0 } else { 1 + random.below(100) };
        let value = if section == " SEC(\".data.more\")" { value.max(1) } else { value };
        parts.declarations += &format!("extern {ty} v{v};\n");
        let start = if value == 0 { String::new() } else { format!(" = {value}") };
        parts.definitions.push(format!("{ty} v{v}{section}{start};\n"));
        sum += &format!(" + v{v} * {}", v + 3);
    }
    parts.declarations +=
        "struct slots { __uint(type, 2); __uint(max_entries, 3); __type(key, __u32); __type(value, long); };\n";
    for m in 0..random.below(3) {
        parts.declarations += &format!("extern struct slots m{m} SEC(\".maps\");\n");
        parts.definitions.push(format!("struct slots m{m} SEC(\".maps\");\n"));
        let body = format!("__u32 k = x & 3; long *e = bpf_map_lookup_elem(&m{m}, &k); if (e) {{ *e += x; x ^= *e; }}");
        parts.declarations += &format!("int use{m}(int x);\n");
        parts.definitions.push(format!("noinline int use{m}(int x) {{ {body} return x; }}\n"));
        sum += &format!(" + use{m}(length)");
    }
    for f in 0..functions {
        let weak = if random.below(4) == 0 { "__attribute__((weak)) " } else { "" };
        let mut body = format!("x = x * {} + {};", 3 + random.below(50), random.below(1000));
        let variable = random.below(variables);
        body += &format!(" v{variable} += x; x ^= v{};", random.below(variables));
        // No function is reached by two ways too often.
        for callee in (0..f).filter(|_| random.below(3) == 0).take(2) {
            body += &format!(" x += f{callee}(x) - s{f}(x);");
        }
        parts.declarations += &format!("int f{f}(int x);\n");
        let own = format!("static noinline int s{f}(int x) {{ static int n = {f}; n += x; return x ^ n; }}\n");
        parts.definitions.push(format!("{own}{weak}noinline int f{f}(int x) {{ {body} return x + s{f}(x); }}\n"));
    }
    let last = functions - 1;
    let body = format!("int length = ctx->data_end - ctx->data; int x = f{last}(length) + f0(length);");
    parts.definitions.push(format!("SEC(\"xdp\") int entry(struct xdp_md *ctx) {{ {body} return x + {sum}; }}\n"));
    parts
}

#[test]
fn a_source_that_is_split_links_to_what_it_was() {
    let test = "a_source_that_is_split_links_to_what_it_was";
    let mut random = Draw::new(5);
    let (mut apart, mut theirs) = (0, 0);
    for case in 0..12 {
        let Parts { declarations, definitions } = parts(&mut random);
        let options = [["-g", "-mcpu=v1", "-O2"], ["-g", "-mcpu=v3", "-O2"], ["-g", "-mcpu=v4", "-O1"]];
        let options = options[random.below(3) as usize];
        let license = "char _license[] SEC(\"license\") = \"GPL\";\n";
        let whole = format!("{declarations}{license}{}", definitions.concat());
        let Some(whole_object) = compile(test, &whole, "bpfel", &options) else { return };
        let count = 2 + random.below(3) as usize;
        let mut files = vec![format!("{declarations}{license}"); count];
        for definition in &definitions {
            files[random.below(count as u64) as usize] += definition;
        }
        let objects: Vec<_> =
            files.iter().map(|file| compile(test, file, "bpfel", &options).expect("it was there before")).collect();
        let lengths = [14, 60, 61, 1500, 14];
        let (expected, found) = (returns(&whole_object, &lengths), returns(&linked(&objects), &lengths));
        assert_eq!(expected, found, "case {case}:\n{}", files.join("\n// next file\n"));
        apart += usize::from(expected.windows(2).any(|pair| pair[0] != pair[1]));
        let Some(by_bpftool) = linked_by_bpftool(test, &objects) else { continue };
        assert_eq!(expected, returns(&by_bpftool, &lengths), "case {case}, linked by bpftool");
        theirs += 1;
    }
    if theirs == 0 {
        eprintln!("SKIP {test}: bpftool is missing, to link the same");
    }
    assert!(apart > 6, "what the programs return depends on their input");
}
