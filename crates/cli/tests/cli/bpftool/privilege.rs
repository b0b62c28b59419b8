//! What users without privilege are told: what lacks, and what would grant it; nothing is half done.

use super::{output, permitted, text};
use crate::session::Session;

/// Commands that take a privilege. `$pin` is a path in a BPF file system that everybody may write to.
const COMMANDS: &str = "prog show; prog show id 1; prog dump xlated id 1; prog load count.bpf.o $pin
    prog loadall count.bpf.o $pin; prog pin id 1 $pin; prog attach id 1 sk_msg_verdict id 2; prog detach id 1 flow_dissector
    prog run id 1 data_in count.bpf.o; prog profile id 1 cycles; prog top --looks 1; map show; map dump id 1
    map create $pin type hash key 4 value 4 entries 4 name m; map lookup id 1 key 0; map update id 1 key 0 value 0
    map delete id 1 key 0; map getnext id 1; map pin id 1 $pin; map freeze id 1; map event_pipe id 1; map push id 1 value 1
    map pop id 1; map peek id 1; map export id 1; map watch id 1; link show; link pin id 1 $pin; link detach id 1
    cgroup attach /sys/fs/cgroup cgroup_inet_ingress id 1; cgroup detach /sys/fs/cgroup cgroup_inet_ingress id 1
    net show; net attach xdp id 1 dev lo; net detach xdp dev lo; btf show; btf dump id 1; feature probe kernel
    iter pin count.bpf.o $pin; struct_ops show; struct_ops dump; struct_ops register count.bpf.o $pin; struct_ops unregister id 1
    load count.bpf.o --pin $pin; attach count.bpf.o --xdp lo; attach count.bpf.o --xdp lo --pin $pin; run count.bpf.o --pcap traffic.pcap --on linux";

#[test]
fn each_command_says_which_privilege_lacks() {
    let test = "each_command_says_which_privilege_lacks";
    if !permitted(test) {
        return;
    }
    let session = Session::new().example("count.bpf.o").example("traffic.pcap");
    let commands: Vec<&str> = COMMANDS.split(['\n', ';']).map(str::trim).collect();
    let lines: String = commands
        .iter()
        .map(|words| format!("echo '@@ {words}'; setpriv --reuid 65534 --clear-groups --inh-caps=-all $alveary {words} 2>&1; echo \"= $?\"\n"))
        .collect();
    let script = format!(
        "mkdir pins && mount -t bpf bpf pins && chmod 777 pins . && cp {} alveary || exit
         alveary=$PWD/alveary pin=$PWD/pins/none
         setpriv --reuid 65534 --clear-groups $alveary --version > /dev/null || exit
         {lines}
         ls pins; umount pins",
        env!("CARGO_BIN_EXE_alveary")
    );
    let at = session.directory().to_string_lossy().into_owned();
    let script = format!("cd {at}; {script}");
    let done = output("unshare", &["--mount", "--net", "--propagation", "private", "sh", "-c", &script]);
    let told = text(&done.stdout);
    if told.is_empty() {
        eprintln!("SKIP {test}: others may not look into {at}: {}", text(&done.stderr).trim());
        return;
    }
    let parts: Vec<&str> = told.split("@@ ").skip(1).collect();
    assert_eq!(parts.len(), commands.len(), "{told}");
    for part in &parts {
        assert!(part.contains("\n= 1\n"), "it fails: {part}");
        assert!(part.contains("CAP_"), "it names the privilege: {part}");
        assert!(part.contains("run it as root") || part.contains("this needs CAP_"), "it says what grants it: {part}");
    }
    assert!(told.ends_with("= 1\nmaps.debug\nprogs.debug\n"), "nothing is left behind: {}", parts[parts.len() - 1]);
}
