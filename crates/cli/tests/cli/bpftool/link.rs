//! `link show`, of links that are pinned and held.

use super::{output, permitted, text};

#[test]
fn pins_and_holders_of_links_are_told() {
    if !permitted("pins_and_holders_of_links_are_told") {
        return;
    }
    let (ours, example) =
        (env!("CARGO_BIN_EXE_alveary"), format!("{}/../../examples/count.bpf.o", env!("CARGO_MANIFEST_DIR")));
    let script = format!(
        "at=$(mktemp -d -t alvearyXXXXXX); mount -t bpf bpf $at || exit; ip link add v0 type veth peer name v1
         {ours} attach {example} --xdp v0 --pin $at/kept > $at.said; {ours} attach {example} --xdp v1 > $at.said & pid=$!
         until grep -q Ctrl-C $at.said; do kill -0 $pid || exit; done
         echo $at $pid; {ours} -f -j link show; kill -INT $pid; wait $pid; umount $at; rmdir $at; rm $at.said"
    );
    let done = output("unshare", &["--mount", "--net", "--propagation", "private", "sh", "-c", &script]);
    let told = text(&done.stdout);
    // Links of other namespaces are among them, whose devices have numbers that ours have, too.
    let (ours, links) = told.split_once('\n').unwrap_or_default();
    let (at, pid) = ours.split_once(' ').unwrap_or_default();
    let of = |what: &str| links.split("{\"id\":").find(|link| link.contains(what));
    let both = of(&format!("[\"{at}/kept\"]")).zip(of(&format!("[{{\"pid\":{pid},\"comm\":\"alveary\"}}]")));
    let Some((kept, held)) = both else { panic!("{told}{}", text(&done.stderr)) };
    assert!(kept.contains("\"devname\":\"v0\"") && !kept.contains("\"pids\""), "{kept}");
    assert!(held.contains("\"devname\":\"v1\"") && held.contains("\"pinned\":[]"), "{held}");
}
