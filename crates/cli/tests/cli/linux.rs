//! The running kernel from the command line. Skipped, by name, where bpf(2) is not permitted.

use crate::session::Session;
use alveary_testing::{BpfFs, bpf::permitted};
use std::{fs, process::Command};

/// Every program of the examples and of Debian's libxdp that takes packets does the same on both targets: verdicts,
/// bytes, maps.
#[test]
fn the_targets_do_the_same() {
    if !permitted("the_targets_do_the_same") {
        return;
    }
    let session = Session::new().example("traffic.pcap");
    let examples = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"));
    let libxdp = fs::read_dir("/usr/lib/x86_64-linux-gnu/bpf");
    let all = [examples, libxdp].into_iter().flatten().flatten().flatten().map(|entry| entry.path());
    let (mut compared, mut differences) = (0, Vec::new());
    for object in all.filter(|path| path.extension().is_some_and(|e| e == "o")) {
        let path = object.display();
        let shown = session.output(&format!("show {path} --json"));
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
        for program in shown["programs"].as_array().expect("programs") {
            let name = program["name"].as_str().expect("a name");
            let ran = session.output(&format!("run {path} --prog {name} --pcap traffic.pcap --on both --json"));
            match ran.code {
                Some(0) => compared += 1,
                _ if ran.stderr.contains("\"difference\"") => {
                    differences.push(format!("{path} {name}: {}", ran.stderr))
                }
                // Programs of other types, or that this kernel refuses.
                _ => {}
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared >= 3, "{compared} programs were compared");
}

#[test]
fn a_run_on_linux_gives_what_one_on_user_gives() {
    if !permitted("a_run_on_linux_gives_what_one_on_user_gives") {
        return;
    }
    let session = Session::new().example("filter.bpf.o").example("traffic.pcap");
    let run = |on: &str| {
        let line =
            format!("run filter.bpf.o --pcap traffic.pcap --map ports:{{protocol=6,port=80}}=1 --on {on} --json");
        let output = session.output(&line);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let mut result: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        for own in ["target", "ns_per_packet", "insns_per_packet", "maps"] {
            result.as_object_mut().expect("an object").remove(own);
        }
        result
    };
    assert_eq!(run("linux"), run("user"));
}

/// Programs of each type that takes packets: what they see of the headers, write, count and cut is the same.
const PROGRAMS: &str = r#"
    struct __sk_buff { __u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
        ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end; };
    static long (*bpf_map_update_elem)(void *, const void *, const void *, __u64) = (void *)2;
    static long (*bpf_skb_store_bytes)(void *, __u32, const void *, __u32, __u64) = (void *)9;
    static long (*bpf_skb_load_bytes)(void *, __u32, void *, __u32) = (void *)26;
    static long (*bpf_skb_change_tail)(void *, __u32, __u64) = (void *)38;
    static long (*bpf_xdp_adjust_head)(void *, int) = (void *)44;
    static long (*bpf_xdp_adjust_tail)(void *, int) = (void *)65;
    struct { __uint(type, 1); __uint(max_entries, 256); __type(key, __u32); __type(value, __u64); } lengths SEC(".maps");
    struct { __uint(type, 6); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
    static void count(__u32 length, __u32 slot) {
        __u64 one = 1, *seen = bpf_map_lookup_elem(&lengths, &length);
        if (seen) ++*seen; else bpf_map_update_elem(&lengths, &length, &one, 0);
        __u64 *all = bpf_map_lookup_elem(&counts, &slot);
        if (all) *all += length;
    }
    SEC("socket") int filter(struct __sk_buff *skb) {
        unsigned char header[24];
        count(skb->len / 16, 0);
        if (bpf_skb_load_bytes(skb, 0, header, sizeof(header))) return 0;
        return header[12] == 8 && header[23] == 6 ? skb->len : skb->protocol == 0x0608 ? 60 : 0;
    }
    SEC("tc") int classifier(struct __sk_buff *skb) {
        unsigned char mac[6] = { 2, 0, 0, 0, 0, skb->len & 0xff };
        count(skb->len / 16, 1);
        bpf_skb_store_bytes(skb, 6, mac, 6, 0);
        if (skb->len > 200) bpf_skb_change_tail(skb, 128, 0);
        return skb->protocol == 8 ? 0 : 2;
    }
    SEC("xdp") int frames(struct xdp_md *ctx) {
        __u32 length = ctx->data_end - ctx->data;
        count(length / 16, 0);
        if (length & 1) { if (bpf_xdp_adjust_head(ctx, -4)) return 0; }
        else if (bpf_xdp_adjust_tail(ctx, -8)) return 0;
        unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
        if (data + 4 > end) return 1;
        data[0] = 0xaa; data[1] = 0xbb; data[2] = 0xcc; data[3] = 0xdd;
        return length & 2 ? 2 : 3;
    }
    SEC("lwt_in") int tunnel(struct __sk_buff *skb) {
        unsigned char first = 0;
        bpf_skb_load_bytes(skb, 0, &first, 1);
        count(skb->len / 16, 0);
        return first >> 4 == 4 ? 1 : 3;
    }
    SEC("lwt_out") int way_out(struct __sk_buff *skb) { return skb->pkt_type ? 2 : 0; }
    SEC("lwt_xmit") int way_on(struct __sk_buff *skb) { skb->mark = skb->len; return skb->len & 1 ? 2 : 0; }"#;

#[test]
fn programs_of_each_type_do_the_same() {
    let test = "programs_of_each_type_do_the_same";
    if !permitted(test) {
        return;
    }
    let Some(object) = alveary_testing::compile(test, PROGRAMS, "bpf", &["-g"]) else { return };
    let session = Session::new().file("types.bpf.o", object).example("traffic.pcap");
    for program in ["filter", "classifier", "frames", "tunnel", "way_out", "way_on"] {
        let output = session.output(&format!("run types.bpf.o --prog {program} --pcap traffic.pcap --on both"));
        assert_eq!(output.code, Some(0), "{program}: {}{}", output.stdout, output.stderr);
        assert!(output.stdout.ends_with("no difference between user and linux\n"), "{}", output.stdout);
        assert!(!output.stdout.contains("refused"), "every packet is one to both: {}", output.stdout);
    }
}

/// A program that asks the clock: there they differ, and it is said in what.
#[test]
fn a_difference_is_named_and_fails() {
    let test = "a_difference_is_named_and_fails";
    if !permitted(test) {
        return;
    }
    let source = r#"
        static unsigned long long (*bpf_ktime_get_ns)(void) = (void *)5;
        SEC("xdp") int entry(struct xdp_md *ctx) { return bpf_ktime_get_ns() & 0x7ffffff0 ? 1 : 2; }"#;
    let Some(object) = alveary_testing::compile(test, source, "bpf", &["-g"]) else { return };
    let session = Session::new().file("clock.bpf.o", object).file("one.pcap", one_packet());
    let output = session.output("run clock.bpf.o --pcap one.pcap --on both");
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.contains("packet 1: user and linux differ in the verdict"), "{}", output.stderr);
    assert!(output.stderr.contains("XDP_DROP") && output.stderr.contains("XDP_PASS"), "{}", output.stderr);
    assert!(output.stderr.contains("note: the program calls bpf_ktime_get_ns: the running"), "{}", output.stderr);
}

/// What programs leave beside the packet: fields of the socket buffer, metadata of XDP.
#[test]
fn contexts_are_compared_too() {
    let test = "contexts_are_compared_too";
    if !permitted(test) {
        return;
    }
    let source = r#"
        struct __sk_buff { __u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto,
            priority, ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id, family,
            remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta; __u64 flow_keys,
            tstamp; };
        struct xdp { __u32 data, data_end, data_meta; };
        static long (*bpf_xdp_adjust_meta)(void *, int) = (void *)54;
        static __u32 (*bpf_get_prandom_u32)(void) = (void *)7;
        char LICENSE[] SEC("license") = "GPL";
        SEC("tc") int fields(struct __sk_buff *skb) {
            skb->mark = skb->len; skb->priority = skb->len + 1; skb->tstamp += 5;
            skb->cb[0] = 1; skb->cb[4] = skb->len * 3;
            return 0;
        }
        SEC("xdp") int metadata(struct xdp *ctx) {
            if (bpf_xdp_adjust_meta(ctx, -8)) return 0;
            __u32 *meta = (void *)(long)ctx->data_meta;
            if (meta + 2 > (__u32 *)(long)ctx->data) return 1;
            meta[0] = 0xabcd; meta[1] = ctx->data_end - ctx->data;
            return 2;
        }
        SEC("tc") int marks(struct __sk_buff *skb) { skb->mark = bpf_get_prandom_u32() | 1; return 0; }
        SEC("xdp") int random(struct xdp *ctx) {
            if (bpf_xdp_adjust_meta(ctx, -4)) return 0;
            __u32 *meta = (void *)(long)ctx->data_meta;
            if (meta + 1 > (__u32 *)(long)ctx->data) return 1;
            *meta = bpf_get_prandom_u32();
            return 2;
        }"#;
    let Some(object) = alveary_testing::compile(test, source, "bpf", &["-g"]) else { return };
    let session = Session::new().file("context.bpf.o", object).example("traffic.pcap");
    let run = |program| session.output(&format!("run context.bpf.o --prog {program} --pcap traffic.pcap --on both"));
    for program in ["fields", "metadata"] {
        let output = run(program);
        assert_eq!(output.code, Some(0), "{program}: {}{}", output.stdout, output.stderr);
    }
    for (program, what) in [("marks", "in `mark`"), ("random", "in metadata")] {
        let output = run(program);
        assert_eq!(output.code, Some(1), "{program}: {}", output.stdout);
        assert!(output.stderr.contains(&format!("packet 1: user and linux differ {what}")), "{}", output.stderr);
        assert!(output.stderr.contains("randomness takes no seed"), "{}", output.stderr);
    }
}

/// A capture of one frame at the time 0.
fn one_packet() -> Vec<u8> {
    let words = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1, 0, 0, 60, 60];
    let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    bytes.extend([0; 60]);
    bytes
}

#[test]
fn settings_of_the_user_space_kernel_are_refused() {
    let session = Session::new().example("count.bpf.o").example("traffic.pcap");
    let output = session.output("run count.bpf.o --pcap traffic.pcap --on linux --seed 5");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("`--seed` has no meaning on the running kernel"), "{}", output.stderr);
}

#[test]
fn a_type_without_test_run_is_refused_by_name() {
    let test = "a_type_without_test_run_is_refused_by_name";
    if !permitted(test) {
        return;
    }
    let source = r#"SEC("sockops") int entry(void *ctx) { return 1; }"#;
    let Some(object) = alveary_testing::compile(test, source, "bpf", &["-g"]) else { return };
    let session = Session::new().file("ops.bpf.o", object).example("traffic.pcap");
    let output = session.output("run ops.bpf.o --pcap traffic.pcap --on linux");
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("type sock_ops"), "{}", output.stderr);
}

#[test]
fn without_privilege_it_is_said_what_lacks() {
    let test = "without_privilege_it_is_said_what_lacks";
    if !permitted(test) {
        return;
    }
    let session = Session::new().example("count.bpf.o").example("traffic.pcap");
    let nobody = |arguments: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(env!("CARGO_BIN_EXE_alveary"));
        command.args(arguments.split(' ')).current_dir(session.directory()).output()
    };
    let Ok(output) = nobody("run count.bpf.o --pcap traffic.pcap --on linux") else {
        eprintln!("SKIP {test}: setpriv is missing");
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("Permission denied") {
        eprintln!("SKIP {test}: nobody may not look at the binary");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("this process lacks CAP_BPF") && text.contains("setcap cap_bpf"), "{text}");
}

#[test]
fn an_object_is_loaded_and_stays_by_its_pins() {
    let test = "load";
    if !permitted(test) {
        return;
    }
    let Some(bpffs) = BpfFs::mount(test) else { return };
    let session = Session::new().example("count.bpf.o").example("traffic.pcap");
    let root = bpffs.path.display();
    let loaded = session.output(&format!("load count.bpf.o --pin {root}/count --pin-maps {root}/maps --json"));
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    let loaded: serde_json::Value = serde_json::from_str(&loaded.stdout).expect("JSON");
    assert_eq!(loaded["programs"][0]["name"], "count");
    assert_eq!(loaded["programs"][0]["type"], "xdp");
    assert!(bpffs.path.join("count/count").exists() && bpffs.path.join("maps/services").exists());

    // A second time the names are taken: nothing changes, and what was pinned before that stays.
    let again = session.output(&format!("load count.bpf.o --pin {root}/count"));
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("something of this name"), "{}", again.stderr);
    assert!(bpffs.path.join("count/count").exists());

    let map = format!("services={root}/maps/services");
    let shared = session.output(&format!("load count.bpf.o --pin {root}/other --map {map} --json"));
    assert_eq!(shared.code, Some(0), "{}", shared.stderr);
    let shared: serde_json::Value = serde_json::from_str(&shared.stdout).expect("JSON");
    let id = |result: &serde_json::Value| {
        let maps = result["maps"].as_array().expect("maps");
        maps.iter().find(|map| map["name"] == "services").map(|map| map["id"].clone())
    };
    assert_eq!(id(&shared), id(&loaded), "the same map");
}

/// The values of the kernel's configuration stand where libbpf puts them, as libbpf writes them.
#[test]
fn the_kernels_configuration_is_what_libbpf_makes_of_it() {
    let test = "the_kernels_configuration_is_what_libbpf_makes_of_it";
    let source = r#"
        #define CONFIG(...) extern __VA_ARGS__ __attribute__((section(".kconfig")))
        CONFIG(int LINUX_KERNEL_VERSION);
        CONFIG(_Bool LINUX_HAS_BPF_COOKIE);
        CONFIG(int CONFIG_HZ);
        CONFIG(char CONFIG_NET);
        CONFIG(enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE } CONFIG_BPF);
        CONFIG(unsigned short CONFIG_LOG_BUF_SHIFT);
        CONFIG(char CONFIG_CC_VERSION_TEXT[8]);
        CONFIG(char CONFIG_DEFAULT_HOSTNAME[33]);
        CONFIG(unsigned long long CONFIG_NOT_THERE) __attribute__((weak));
        SEC("xdp") int p(struct xdp_md *context) {
            return LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE + CONFIG_HZ + CONFIG_NET + CONFIG_BPF + CONFIG_LOG_BUF_SHIFT
                + CONFIG_CC_VERSION_TEXT[3] + CONFIG_DEFAULT_HOSTNAME[3] + CONFIG_NOT_THERE;
        }
    "#;
    if !permitted(test) {
        return;
    }
    let (Some(object), Some(bpffs)) = (crate::compiled::object(test, source), BpfFs::mount("kconfig")) else { return };
    let session = Session::new().file("prog.o", object);
    let (root, object) = (bpffs.path.display(), session.directory().join("prog.o"));
    let theirs = Command::new("bpftool").args(["prog", "load"]).arg(object).arg(bpffs.path.join("theirs")).output();
    let Some(theirs) = theirs.ok().filter(|done| done.status.success()) else {
        eprintln!("SKIP {test}: bpftool cannot load the object");
        return;
    };
    drop(theirs);
    let ours = session.output(&format!("load prog.o --pin {root}/ours"));
    assert_eq!(ours.code, Some(0), "{}", ours.stderr);
    let json = |line: String| {
        let output = session.output(&line);
        serde_json::from_str::<serde_json::Value>(&output.stdout).expect(&output.stderr)
    };
    let values = ["theirs", "ours/p"].map(|pin| {
        let program = json(format!("prog show pinned {root}/{pin} --json"));
        let dumped = json(format!("map dump id {} --json", program["map_ids"][0]));
        assert!(dumped[0]["value"].as_array().is_some_and(|bytes| bytes.len() > 50), "{dumped}");
        assert!(dumped[0]["formatted"]["value"][".kconfig"].is_array(), "by their names: {dumped}");
        dumped[0].clone()
    });
    assert_eq!(values[0], values[1]);
}

/// Maps are pinned behind programs: what had its name by then loses it again.
#[test]
fn a_load_that_fails_leaves_no_pin() {
    let test = "load-fails";
    if !permitted(test) {
        return;
    }
    let Some(bpffs) = BpfFs::mount(test) else { return };
    let session = Session::new().example("count.bpf.o");
    let root = bpffs.path.display();
    fs::create_dir_all(bpffs.path.join("maps/services")).expect("a directory in the way");
    let loaded = session.output(&format!("load count.bpf.o --pin {root}/count --pin-maps {root}/maps"));
    assert_eq!(loaded.code, Some(1), "{}", loaded.stdout);
    assert!(!bpffs.path.join("count/count").exists() && !bpffs.path.join("maps/kinds").exists());
}
