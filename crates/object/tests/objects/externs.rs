//! What the kernel has to give: its configuration, variables and functions.

use crate::common::{compile, kernel};
use alveary_abi::Profile;
use alveary_btf::Type;
use alveary_object::{Options, parse_kconfig, read, resolve};
use alveary_spec::{ExternKind, Initial, Kernel, Program, Resolved, Spec};
use std::{collections::BTreeMap, sync::Arc};

const DECLARE: &str = r#"
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))
enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };
"#;

const CONFIG: &str = r#"
extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool LINUX_HAS_BPF_COOKIE __kconfig;
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig;
extern unsigned LINUX_LATER __kconfig __weak;
extern _Bool CONFIG_BPF __kconfig;
extern enum libbpf_tristate CONFIG_TUN __kconfig;
extern char CONFIG_LETTER __kconfig;
extern unsigned long CONFIG_ADDRESS __kconfig;
extern short CONFIG_NEGATIVE __kconfig;
extern char CONFIG_VERSION[8] __kconfig;
extern int CONFIG_ABSENT __kconfig __weak;
SEC("xdp") int all(void *ctx) {
    return LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE + LINUX_HAS_SYSCALL_WRAPPER + LINUX_LATER + CONFIG_BPF
        + CONFIG_TUN + CONFIG_LETTER + CONFIG_ADDRESS + CONFIG_NEGATIVE + CONFIG_VERSION[1] + CONFIG_ABSENT;
}
"#;

const FILE: &str = "# CONFIG_OFF is not set\nCONFIG_BPF=y\nCONFIG_TUN=m\nCONFIG_LETTER=n\nCONFIG_ADDRESS=0xffffffff81000000\n\
                    CONFIG_NEGATIVE=-2\nCONFIG_VERSION=\"-longer-than-that\"\nCONFIG_BPF=n\n";

fn object(test: &str, source: &str, options: &[&str]) -> Option<Spec> {
    let options: Vec<&str> = options.iter().copied().chain(["-g"]).collect();
    Some(read(&compile(test, &format!("{DECLARE}{source}"), &options)?).unwrap())
}

fn resolved(spec: &Spec, kernel: &Kernel, name: &str) -> Result<Resolved, String> {
    let options = Options { programs: Some(vec![name.to_owned()]), ty: None };
    resolve(spec, kernel, &options).map_err(|e| e[0].to_string())
}

#[test]
fn the_configuration_fills_a_map_in_both_byte_orders() {
    let test = "the_configuration_fills_a_map_in_both_byte_orders";
    for options in [&[][..], &["big"]] {
        let Some(spec) = object(test, CONFIG, options) else { return };
        let kernel = Kernel { kconfig: parse_kconfig("config", FILE).unwrap(), ..kernel() };
        let resolved = resolved(&spec, &kernel, "all").unwrap();
        let map = &resolved.maps[".kconfig"];
        let Initial::Bytes(bytes) = &map.initial else { panic!("it has a content") };
        assert!(map.freeze && map.def.flags == 1 << 7 && bytes.len() == map.def.value_size as usize);
        let of = |name: &str, size: usize| {
            let ExternKind::Config { offset } = spec.externs[name].kind else { panic!("{name}") };
            let mut part = bytes[offset as usize..][..size].to_vec();
            if options.is_empty() {
                part.reverse();
            }
            part.iter().fold(0u64, |n, b| n << 8 | u64::from(*b))
        };
        let types = spec.btf.as_ref().unwrap();
        let Some(Type::DataSec(section)) = map.value_type.and_then(|ty| types.ty(ty)) else { panic!("it has a type") };
        assert_eq!(section.size as usize, bytes.len());
        assert!(section.vars().map(|var| var.offset).is_sorted(), "kernels take no other order");
        assert_eq!(of("LINUX_KERNEL_VERSION", 4), 6 << 16 | 18 << 8 | 44);
        assert_eq!(
            (of("LINUX_HAS_BPF_COOKIE", 1), of("LINUX_HAS_SYSCALL_WRAPPER", 1), of("LINUX_LATER", 4)),
            (1, 1, 0)
        );
        assert_eq!((of("CONFIG_BPF", 1), of("CONFIG_TUN", 4), of("CONFIG_LETTER", 1)), (1, 2, u64::from(b'n')));
        assert_eq!((of("CONFIG_ADDRESS", 8), of("CONFIG_NEGATIVE", 2)), (0xffff_ffff_8100_0000, 0xfffe));
        assert_eq!(of("CONFIG_ABSENT", 4), 0);
        let ExternKind::Config { offset } = spec.externs["CONFIG_VERSION"].kind else { panic!() };
        assert_eq!(&bytes[offset as usize..][..8], b"-longer\0");
        // The most aligned stands first, and instructions name the places.
        assert_eq!(spec.externs["CONFIG_ADDRESS"].kind, ExternKind::Config { offset: 0 });
        let program = &resolved.programs[0];
        let places = program.insns.iter().zip(&program.insns[1..]).filter(|(i, _)| i.op == 0x18 && i.src.0 == 6);
        assert!(places.clone().count() >= 11);
        assert!(places.clone().all(|(i, _)| program.maps[i.imm as usize] == ".kconfig"));
        assert!(places.clone().any(|(_, second)| second.imm == offset as i32 + 1 || second.imm == offset as i32));
    }
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_by_name() {
    let test = "a_configuration_that_does_not_fit_is_refused_by_name";
    let Some(spec) = object(test, CONFIG, &[]) else { return };
    let refused = |from: &str, to: &str| {
        let text = FILE.replace(from, to);
        let kernel = Kernel { kconfig: parse_kconfig("config", &text).unwrap(), ..kernel() };
        resolved(&spec, &kernel, "all").unwrap_err()
    };
    let ends = |text: String, end: &str| assert!(text.ends_with(end), "{text}");
    ends(refused("BPF=y", "BPF=m"), "`CONFIG_BPF` is `m` in the kernel's configuration, which is no truth value");
    ends(refused("TUN=m", "TUN=7"), "`CONFIG_TUN` is `7` in the kernel's configuration, which is no `y`, `m` or `n`");
    ends(refused("=-2", "=40000"), "`40000` in the kernel's configuration, which is no signed number of 2 bytes");
    ends(refused("\"-longer", "-longer"), "which is no text in quotes");
    ends(
        refused("CONFIG_TUN", "CONFIG_TUM"),
        "the program needs `CONFIG_TUN`, which the kernel's configuration does not set",
    );
    assert!(
        parse_kconfig("config", "CONFIG_A=1\nCONFIG_B\n").unwrap_err().to_string().contains("config:2:1: an option")
    );
    let old =
        Kernel { kconfig: parse_kconfig("c", FILE).unwrap(), ..Kernel::of(Profile::linux(alveary_abi::Version(5, 4))) };
    let resolved = resolved(&spec, &old, "all").unwrap();
    let Initial::Bytes(bytes) = &resolved.maps[".kconfig"].initial else { panic!() };
    let ExternKind::Config { offset } = spec.externs["LINUX_HAS_BPF_COOKIE"].kind else { panic!() };
    assert_eq!(bytes[offset as usize], 0, "5.4 has no cookies");
}

const SYMBOLS: &str = r#"
struct rq { int cpu; };
extern const struct rq runqueues __ksym;
extern const int of_other_type __ksym;
extern const void an_address __ksym;
extern const void no_address __ksym __weak;
extern const int no_variable __ksym __weak;
extern int a_function(struct rq *rq, int n) __ksym;
extern int a_function___v2(struct rq *rq) __ksym __weak;
extern int no_function(int n) __ksym __weak;
extern int strong(int n) __ksym;
SEC("xdp") int typed(void *ctx) { return (long)&runqueues; }
SEC("xdp") int other(void *ctx) { return (long)&of_other_type; }
SEC("xdp") int typeless(void *ctx) { return (long)&an_address; }
SEC("xdp") int weak(void *ctx) { return (&no_address ? 1 : 0) + (&no_variable ? 2 : 0); }
SEC("xdp") int call(void *ctx) { return a_function(0, 1); }
SEC("xdp") int guarded(void *ctx) { return no_function ? no_function(1) : 2; }
SEC("xdp") int flavoured(void *ctx) { return a_function___v2 ? a_function___v2(0) : a_function(0, 1); }
SEC("xdp") int absent(void *ctx) { return strong(1); }
"#;

const KERNEL: &str = r#"
struct rq { long lock; int cpu; } runqueues;
struct rq of_other_type;
int a_function(struct rq *rq, int n) { return n; }
"#;

/// The instruction that the first relocation of a program is at, and the one behind it.
fn at_reference(spec: &Spec, program: &Program) -> (u8, i32, i32) {
    let at = spec.functions[&*program.name].relocs[0].insn as usize;
    (program.insns[at].src.0, program.insns[at].imm, program.insns[at + 1].imm)
}

#[test]
fn variables_and_functions_of_the_kernel_are_named_by_id_or_address() {
    let test = "variables_and_functions_of_the_kernel_are_named_by_id_or_address";
    let (Some(spec), Some(types)) = (object(test, SYMBOLS, &[]), object(test, KERNEL, &[])) else { return };
    let btf = types.btf.unwrap();
    let id = |name, kind| btf.find(name, kind).unwrap().0 as i32;
    let symbols = BTreeMap::from([("an_address".to_owned(), 0xffff_ffff_8123_4567)]);
    let full = Kernel { btf: Some(btf.clone()), symbols: Some(Arc::new(symbols)), ..kernel() };
    let program = |name: &str| resolved(&spec, &full, name).unwrap().programs[0].clone();
    let reference = |name: &str| at_reference(&spec, &program(name));
    assert_eq!(reference("typed"), (3, id("runqueues", alveary_btf::Kind::Var), 0));
    assert_eq!(reference("typeless"), (0, 0x8123_4567_u32 as i32, -1));
    assert_eq!(reference("weak"), (0, 0, 0));
    let call = program("call");
    assert_eq!((call.poisoned.len(), at_reference(&spec, &call).0), (0, 2));
    assert_eq!(at_reference(&spec, &call).1, id("a_function", alveary_btf::Kind::Func));
    // A weak function that is not there has no address, and its call is never reached.
    for name in ["guarded", "flavoured"] {
        let program = program(name);
        assert_eq!(at_reference(&spec, &program), (0, 0, 0), "{name}");
        let (slot, why) = &program.poisoned[0];
        let insn = program.insns[*slot as usize];
        assert_eq!((insn.op, insn.src.0, insn.imm / 1_000_000), (0x85, 0, 2002), "{name}");
        assert_eq!(why.code.0, "kfunc");
    }
    let error = |name| resolved(&spec, &full, name).unwrap_err();
    assert!(
        error("other")
            .ends_with("the kernel's variable `of_other_type` is a `struct rq`, and the program declares it as `int`")
    );
    assert!(error("absent").ends_with("the program needs the kernel's function `strong`, which it does not have"));
}

#[test]
fn the_user_space_kernel_has_no_symbols() {
    let Some(spec) = object("the_user_space_kernel_has_no_symbols", SYMBOLS, &[]) else { return };
    let program = resolved(&spec, &kernel(), "weak").unwrap().programs[0].clone();
    assert_eq!(at_reference(&spec, &program), (0, 0, 0));
    assert_eq!(resolved(&spec, &kernel(), "guarded").unwrap().programs[0].poisoned.len(), 1);
    for name in ["typed", "typeless", "call"] {
        let error = resolved(&spec, &kernel(), name).unwrap_err();
        assert!(error.ends_with("this kernel gives programs none of its own"), "{error}");
    }
}

const HOOKS: &str = r#"
SEC("fentry/a_function") int entered(void *ctx) { return 0; }
SEC("tp_btf/switched") int traced(void *ctx) { return 0; }
SEC("lsm/file_open") int guarded(void *ctx) { return 0; }
SEC("iter/task") int walked(void *ctx) { return 0; }
SEC("fexit/a_funktion") int misspelt(void *ctx) { return 0; }
SEC("fexit/tun:tun_xmit") int in_a_module(void *ctx) { return 0; }
SEC("fentry") int of_the_users_choice(void *ctx) { return 0; }
SEC("kprobe/a_function") int by_address(void *ctx) { return 0; }
"#;

const HOOKED: &str = r#"
typedef void (*btf_trace_switched)(void *, int);
btf_trace_switched switched;
int a_function(int n) { return n; }
int bpf_lsm_file_open(void *file) { return 0; }
int bpf_iter_task(void *task) { return 0; }
"#;

#[test]
fn programs_are_loaded_for_what_their_sections_name() {
    let test = "programs_are_loaded_for_what_their_sections_name";
    let (Some(spec), Some(types)) = (object(test, HOOKS, &[]), object(test, HOOKED, &[])) else { return };
    let btf = types.btf.unwrap();
    let with_types = Kernel { btf: Some(btf.clone()), ..kernel() };
    let target = |name: &str, kernel: &Kernel| resolved(&spec, kernel, name).unwrap().programs[0].target.clone();
    for (program, name, kind) in [
        ("entered", "a_function", alveary_btf::Kind::Func),
        ("traced", "btf_trace_switched", alveary_btf::Kind::Typedef),
        ("guarded", "bpf_lsm_file_open", alveary_btf::Kind::Func),
        ("walked", "bpf_iter_task", alveary_btf::Kind::Func),
    ] {
        assert_eq!(target(program, &with_types).unwrap().unwrap().id, btf.find(name, kind).unwrap(), "{program}");
        assert!(target(program, &kernel()).is_none(), "{program}: without the kernel's types");
    }
    let missing = target("misspelt", &with_types).unwrap().unwrap_err();
    assert_eq!(missing.message, "program `misspelt` is for the function `a_funktion`, which the kernel does not have");
    assert_eq!(missing.help, ["did you mean `a_function`?"]);
    assert!(target("in_a_module", &with_types).unwrap().unwrap_err().message.contains("of module `tun`"));
    assert!(target("of_the_users_choice", &with_types).is_none() && target("by_address", &with_types).is_none());
}
