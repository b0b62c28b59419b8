//! `token`: what BPF file systems of the test's own delegate. Debian's bpftool has no such verb: as version 7.7 prints it.

use super::{output, permitted, text};

#[test]
fn what_file_systems_delegate_is_told() {
    let test = "what_file_systems_delegate_is_told";
    if !permitted(test) {
        return;
    }
    let ours = env!("CARGO_BIN_EXE_alveary");
    let script = format!(
        "umount -a -t bpf; at=$(mktemp -d -t alvearyXXXXXX); cd $at; mkdir none 'two words'; mount -t bpf bpf none
         mount -t bpf -o delegate_cmds=map_create:prog_load:btf_load:link_create:token_create,delegate_progs=xdp bpf 'two words' || exit 9
         {ours} token show; {ours} -j token list; umount 'two words'; {ours} token list; {ours} -j token show
         umount none; LIBBPF_BPF_TOKEN_PATH=$at {ours} map create none/m type hash key 4 value 4 entries 4 name m
         cd /; rmdir $at/none $at/two\\ words $at"
    );
    let done = output("unshare", &["--mount", "--propagation", "private", "sh", "-c", &script]);
    if done.status.code() == Some(9) {
        eprintln!("SKIP {test}: this kernel has no tokens (Linux 6.9)");
        return;
    }
    let (told, why) = (text(&done.stdout), text(&done.stderr));
    let pad = |names: &[&str]| names.iter().map(|name| format!("{name:<20}")).collect::<String>();
    let commands = pad(&["map_create", "prog_load", "btf_load", "link_create"]);
    let (last, programs) = (pad(&["token_create"]), pad(&["xdp"]));
    let expected = format!(
        "/two words\n\tallowed_cmds:\n\t  {commands}\n\t  {last}\n\tallowed_maps:\n\tallowed_progs:\n\t  {programs}\n\tallowed_attachs:\n"
    );
    assert!(told.starts_with("token_info  ") && told.contains(&expected), "{told}{why}");
    let json = r#"/two words","allowed_cmds":["map_create","prog_load","btf_load","link_create","token_create"],"allowed_maps":[],"allowed_progs":["xdp"],"allowed_attachs":[]}]"#;
    assert!(told.contains(json) && told.ends_with("]\n[]\n"), "{told}{why}");
    assert!(why.contains("the file system in LIBBPF_BPF_TOKEN_PATH gives no token"), "{why}");
}
