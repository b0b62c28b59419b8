//! `net show`, `attach` and `detach`, in network namespaces of the tests' own.

use super::{output, permitted, same_script, text};
use alveary_abi::ProgType;
use alveary_linux::sys::{Loaded, ProgLoad, ProgParts, prog_info};
use std::os::fd::AsFd;

fn load(ty: ProgType, name: &str, verdict: i32) -> (Loaded, String) {
    let code = alveary_testing::code(&format!("r0 = {verdict}\nexit"), |_, _| unreachable!("there is no symbol"));
    let loaded = ProgLoad { name, license: c"GPL", ..ProgLoad::new(ty, &code) }.load().expect("the kernel takes it");
    let id = prog_info(loaded.fd.as_fd(), ProgParts::default()).expect("the kernel tells").id.to_string();
    (loaded, id)
}

#[test]
fn devices_are_handled_as_by_bpftool() {
    if !permitted("devices_are_handled_as_by_bpftool") {
        return;
    }
    let (_xdp, xdp) = load(ProgType::XDP, "cli_net_xdp", 2);
    let (_tc, tc) = load(ProgType::SCHED_CLS, "cli_net_tc", 0);
    // Debian's bpftool does not know netfilter programs yet.
    let told = same_script(&format!(
        r#"tell() {{ echo "$*"; $tool "$@" 2>/dev/null | sed 's/,"netfilter":\[\]//; /^netfilter:$/,$d'; }}
           show() {{ tell net show; tell -j net list; tell net show dev v0; tell -j net show dev v1; }}
           ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
           bpftool prog pin id {tc} tc
           show
           tell net attach xdpgeneric id {xdp} dev v0; show
           tell net attach xdpgeneric id {xdp} dev v0; echo $?
           tell -j net attach xdpgeneric id {xdp} dev v0 overwrite
           tell net attach xdpdrv id {xdp} dev v1; show
           tc qdisc add dev v0 clsact
           tc filter add dev v0 ingress pref 7 bpf da pinned tc
           tc filter add dev v0 egress bpf da pinned tc
           # Kernels without actions refuse this one.
           tc filter add dev v0 egress bpf pinned tc action bpf pinned tc
           tc qdisc add dev v1 root handle 1: htb; tc class add dev v1 parent 1: classid 1:1 htb rate 1mbit
           tc filter add dev v1 parent 1: bpf pinned tc classid 1:1
           show
           tell net detach xdpgeneric dev v0; tell -j net detach xdpdrv dev v1; tell net detach xdp dev v0; show
           tell net attach xdp id {xdp} dev none; tell net attach sideways id {xdp} dev v0; tell net show v0"#
    ));
    for expected in ["generic id", "driver id", "clsact/ingress", "clsact/egress", " htb "] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn tcx_is_attached_and_shown() {
    if !permitted("tcx_is_attached_and_shown") {
        return;
    }
    let (_tc, id) = load(ProgType::SCHED_CLS, "cli_net_tcx", 0);
    let ours = env!("CARGO_BIN_EXE_alveary");
    let script = format!(
        "set -e; ip link add v0 type veth peer name v1
         {ours} net attach tcx_ingress id {id} dev v0; {ours} net show dev v0; {ours} net show dev v0 -j
         {ours} net detach tcx_ingress dev v0; {ours} net show dev v0"
    );
    let done = output("unshare", &["--net", "sh", "-c", &script]);
    let told = text(&done.stdout);
    if !done.status.success() && text(&done.stderr).contains("EINVAL") {
        eprintln!("SKIP tcx_is_attached_and_shown: this kernel has no tcx");
        return;
    }
    assert!(done.status.success(), "{told}{}", text(&done.stderr));
    let there = format!("v0(3) tcx/ingress cli_net_tcx prog_id {id} \n");
    let json = format!(
        r#"[{{"devname":"v0","ifindex":3,"kind":"tcx/ingress","name":"cli_net_tcx","prog_id":{id},"prog_flags":[],"link_id":0,"link_flags":[]}}]"#
    );
    assert!(told.contains(&there) && told.contains(&json), "{told}");
    assert_eq!(told.matches("tcx/ingress").count(), 2, "it is gone in the end: {told}");
}
