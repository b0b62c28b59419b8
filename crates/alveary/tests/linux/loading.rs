use crate::support::{allowed, compiled, example};
use alveary::{Kind, MapHandle, Object, Packet, Target, kernel::sys::TestRun};
use std::os::fd::AsFd;

/// A frame of IPv4 and UDP.
fn frame() -> Vec<u8> {
    let mut bytes = vec![0; 60];
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes[14] = 0x45;
    bytes[16..18].copy_from_slice(&[0, 46]);
    bytes[23] = 17;
    bytes
}

#[test]
fn the_same_object_does_the_same_on_both_targets() {
    if !allowed("the_same_object_does_the_same_on_both_targets") {
        return;
    }
    let object = example("count.bpf.o");
    let ours = object.load(Target::user()).expect("a program");
    let theirs = object.load(Target::linux()).expect("a program");
    let frame = frame();
    let (here, there) = (ours.program("count").unwrap().run(&frame), theirs.program("count").unwrap().run(&frame));
    let (here, there) = (here.expect("a run"), there.expect("a run"));
    assert_eq!((here.value, here.data), (there.value, there.data));
    // Values of the kernel's CPUs that did not run are zero: added up they are what one CPU has here.
    for (name, map) in theirs.maps().filter(|(_, map)| map.spec().def.key_size > 0) {
        let same = ours.map(name).unwrap();
        let keys = |entries: Vec<(Vec<u8>, Vec<u8>)>| entries.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        let (mut mine, mut kernels) = (keys(same.entries().unwrap()), keys(map.entries().unwrap()));
        mine.sort();
        kernels.sort();
        assert_eq!(mine, kernels, "the keys of {name}");
    }
}

#[test]
fn globals_inner_maps_and_prog_arrays_are_filled() {
    const SOURCE: &str = r#"
        const volatile int limit = 7; int seen = 3;
        struct inner { __uint(type, 2); __uint(max_entries, 1); __type(key, int); __type(value, int); };
        struct inner one SEC(".maps");
        struct { __uint(type, 12); __uint(max_entries, 2); __type(key, int); __array(values, struct inner); }
            outer SEC(".maps") = { .values = { [1] = &one } };
        int target(struct xdp_md *);
        struct { __uint(type, 3); __uint(max_entries, 2); __type(key, int); __array(values, int (void *)); }
            jumps SEC(".maps") = { .values = { [1] = (void *)&target } };
        SEC("xdp") int target(struct xdp_md *ctx) { return limit; }
        SEC("xdp") int entry(struct xdp_md *ctx) {
            int one = 1, zero = 0;
            void *inner = bpf_map_lookup_elem(&outer, &one);
            if (!inner) return -1;
            int *value = bpf_map_lookup_elem(inner, &zero);
            if (!value) return -2;
            *value = seen;
            bpf_tail_call(ctx, &jumps, 1);
            return -3;
        }"#;
    let test = "globals_inner_maps_and_prog_arrays_are_filled";
    if !allowed(test) {
        return;
    }
    let Some(object) = compiled(test, SOURCE) else { return };
    let loaded = object.load(Target::linux()).expect("programs");
    let outcome = loaded.program("entry").unwrap().run(&frame()).expect("a run");
    assert_eq!(outcome.value, 7, "the program of slot 1 has run, with the constant in it");
    assert_eq!(loaded.map("one").unwrap().lookup(&[0; 4]).unwrap().unwrap(), 3u32.to_ne_bytes());
    let frozen = loaded.map(".rodata").unwrap().update(&[0; 4], &[0; 4], 0).expect_err("a frozen map");
    assert!(frozen.to_string().contains("frozen"), "{frozen}");
}

#[test]
fn a_refusal_stands_on_its_source_line() {
    const SOURCE: &str = r#"
        struct { __uint(type, 1); __uint(max_entries, 1); __type(key, int); __type(value, long); } values SEC(".maps");
        SEC("xdp") int entry(struct xdp_md *ctx) {
            int key = 0;
            long *value = bpf_map_lookup_elem(&values, &key);
            return *value; // without a look at it
        }"#;
    let test = "a_refusal_stands_on_its_source_line";
    if !allowed(test) {
        return;
    }
    let Some(object) = compiled(test, SOURCE) else { return };
    let refused = object.load(Target::linux()).expect_err("a pointer that may be NULL is followed");
    assert_eq!(refused.kind(), Kind::Verifier);
    assert!(refused.log().contains("invalid mem access 'map_value_or_null'"), "{}", refused.log());
    let why = refused.diagnostic();
    assert!(matches!(why.place(), alveary::diag::Place::Insn { index, .. } if *index > 0), "{why:?}");
    assert!(why.notes.iter().any(|note| note.contains("map_value_or_null")), "{why:?}");
}

#[test]
fn a_type_without_test_run_is_refused_by_name() {
    let test = "a_type_without_test_run_is_refused_by_name";
    if !allowed(test) {
        return;
    }
    let Some(object) = compiled(test, r#"SEC("tp/syscalls/sys_enter_getpid") int entry(void *ctx) { return 0; }"#)
    else {
        return;
    };
    let loaded = object.load(Target::linux()).expect("a program");
    let refused = loaded.program("entry").unwrap().run(&frame()).expect_err("no packets");
    assert_eq!(refused.kind(), Kind::Unsupported);
    assert!(refused.to_string().contains("type tracepoint"), "{refused}");
}

/// What a program does to the packet, and what it puts in front as metadata, which is not sent.
#[test]
fn packets_come_back_as_the_program_left_them() {
    const SOURCE: &str = r#"
        static long (*bpf_xdp_adjust_meta)(struct xdp_md *ctx, int delta) = (void *)54;
        SEC("xdp") int entry(struct xdp_md *ctx) {
            if (bpf_xdp_adjust_meta(ctx, -8)) return 0;
            unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
            if (data + 20 > end) return 1;
            data[15] = 0xaa;
            return 2;
        }"#;
    let test = "packets_come_back_as_the_program_left_them";
    if !allowed(test) {
        return;
    }
    let Some(object) = compiled(test, SOURCE) else { return };
    let loaded = object.load(Target::linux()).expect("a program");
    let mut packets = loaded.program("entry").unwrap().packets().expect("a type with packets");
    let frame = frame();
    let verdict = packets.run(&Packet { data: &frame, ..Packet::default() }).expect("a run");
    let mut changed = frame.clone();
    changed[15] = 0xaa;
    assert_eq!((verdict.name(), verdict.bytes()), (Some("XDP_PASS"), &*changed));
    let refused = packets.run(&Packet { data: &[0; 3], ..Packet::default() }).expect_err("no Ethernet header");
    assert!(refused.to_string().contains("too short"), "{refused}");
}

/// CO-RE, the kernel's configuration and its functions: by what the running kernel says.
#[test]
fn what_an_object_asks_of_the_kernel_is_found() {
    const SOURCE: &str = r#"
        struct task_struct { int pid; } __attribute__((preserve_access_index));
        extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
        extern void bpf_rcu_read_lock(void) __attribute__((section(".ksyms")));
        extern void bpf_rcu_read_unlock(void) __attribute__((section(".ksyms")));
        int version = 0;
        char _license[] SEC("license") = "GPL";
        SEC("xdp") int entry(struct xdp_md *ctx) { version = LINUX_KERNEL_VERSION; return 2; }
        SEC("tp_btf/sched_switch") int on_switch(unsigned long long *ctx) {
            struct task_struct *task = (void *)ctx[1];
            bpf_rcu_read_lock();
            int pid = task->pid;
            bpf_rcu_read_unlock();
            return pid & 0;
        }"#;
    let test = "what_an_object_asks_of_the_kernel_is_found";
    if !allowed(test) {
        return;
    }
    let bytes = alveary_testing::compile(test, SOURCE, "bpf", &["-g"]);
    let Some(bytes) = bytes else { return };
    let object = Object::parse(&bytes).expect("an object");
    let loaded = match object.load(Target::linux()) {
        Ok(loaded) => loaded,
        Err(e) => panic!("{e}\n{}", e.log()),
    };
    loaded.program("entry").unwrap().run(&frame()).expect("a run");
    let version = loaded.map(".bss").unwrap().lookup(&[0; 4]).unwrap().unwrap();
    let version = u32::from_ne_bytes(version[..4].try_into().unwrap());
    assert_ne!(version >> 16, 0, "{version:#x}");
}

/// A target that has seen an object looks anew at the kernel for what another one asks besides.
#[test]
fn a_later_object_may_ask_for_more() {
    let test = "a_later_object_may_ask_for_more";
    let types = r#"
        extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
        SEC("xdp") int entry(struct xdp_md *ctx) { return LINUX_KERNEL_VERSION != 0; }"#;
    let config = r#"
        extern unsigned CONFIG_HZ __attribute__((section(".kconfig")));
        SEC("xdp") int entry(struct xdp_md *ctx) { return CONFIG_HZ; }"#;
    let symbols = r#"
        extern const void runqueues __attribute__((section(".ksyms")));
        SEC("xdp") int entry(struct xdp_md *ctx) { return &runqueues != 0; }"#;
    if !allowed(test) {
        return;
    }
    let linux = Target::linux();
    let run = |source: &str| {
        let object = compiled(test, source)?;
        let loaded = object.load(linux.clone()).unwrap_or_else(|e| panic!("{e}\n{}", e.log()));
        Some(loaded.program("entry").unwrap().run(&frame()).expect("a run").value)
    };
    let Some(1) = run(types) else { return };
    let hz = run(config).expect("a compiler");
    assert!([100, 250, 300, 1000].contains(&hz), "{hz}");
    assert_eq!(run(symbols), Some(1));
}

/// Variables in an arena are there before a program runs, whether the arena has an address of its own or gets one.
#[test]
fn variables_of_arenas_are_written() {
    let test = "variables_of_arenas_are_written";
    let source = r#"
        #define __arena __attribute__((address_space(1)))
        struct { __uint(type, 33); __uint(map_flags, 1 << 10); __uint(max_entries, 3); EXTRA } arena SEC(".maps");
        char LICENSE[] SEC("license") = "GPL";
        int __arena SEC(".addr_space.1") first = 30;
        long __arena SEC(".addr_space.1") second = 12;
        SEC("syscall") int sum(void *ctx) { asm volatile("" : : "r"(&arena)); second++; return first + second; }
    "#;
    for extra in ["__ulong(map_extra, 0x1ull << 44);", ""] {
        let source = source.replace("EXTRA", extra);
        let bytes =
            allowed(test).then(|| alveary_testing::compile(test, &source, "bpf", &["-g", "-mcpu=v4"])).flatten();
        let Some(bytes) = bytes else { return };
        let object = Object::parse(&bytes).expect("an object");
        let loaded = match object.load(Target::linux()) {
            Err(why) if why.to_string().contains("6.9") => return eprintln!("SKIP {test}: no arenas before Linux 6.9"),
            loaded => loaded.expect("it loads"),
        };
        let program = loaded.program("sum").expect("it is there").handle().clone();
        let run = || TestRun::default().run(program.as_fd()).expect("it runs").retval;
        assert_eq!((run(), run()), (43, 44), "{extra}");
        let arena = loaded.map("arena").expect("it is there").arena().expect("its memory");
        assert!(extra.is_empty() || arena.address() == 1 << 44);
        assert_eq!(arena.read(0, 4), Some(30u32.to_ne_bytes().to_vec()));
        assert_eq!(arena.read(8, 8), Some(14u64.to_ne_bytes().to_vec()));
        assert!(arena.write(8, &100u64.to_ne_bytes()) && !arena.write(3 * 4096 - 4, &[0; 8]));
        assert_eq!((run(), arena.read(3 * 4096 - 4, 8)), (131, None));
    }
}
