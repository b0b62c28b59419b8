//! What `--help` says, what shells complete, what `man` shows.

use crate::{golden::golden, session::Session};

#[test]
fn every_verb_explains_itself() {
    for verb in [
        "",
        "run ",
        "load ",
        "check ",
        "show ",
        "disasm ",
        "asm ",
        "attach ",
        "detach ",
        "btf ",
        "btf dump ",
        "btf merge ",
        "btf dedup ",
        "btf split ",
        "gen ",
        "gen min_core_btf ",
        "gen object ",
        "gen skeleton ",
        "gen subskeleton ",
        "prog ",
        "prog dump ",
        "prog run ",
        "prog load ",
        "prog pin ",
        "prog attach ",
        "map ",
        "map create ",
        "map export ",
        "map import ",
        "map watch ",
        "net ",
        "srv6 ",
        "srv6 route ",
        "srv6 route add ",
        "srv6 tunsrc ",
        "srv6 hmac ",
        "srv6 run ",
        "srv6 delay ",
        "srv6 delay probe ",
        "srv6 delay collect ",
        "srv6 hybrid ",
        "srv6 hybrid run ",
        "srv6 lab ",
        "srv6 lab delay ",
        "srv6 lab discover ",
        "srv6 discover ",
        "srv6 oamp ",
        "srv6 lab hybrid ",
        "lb ",
        "lb check ",
        "lb serve ",
        "lb drain ",
        "lb trace ",
        "lb flows ",
        "lb import ",
        "lb lab ",
        "cgroup ",
        "perf ",
        "iter ",
        "feature ",
        "batch ",
        "prog top ",
        "completions ",
        "man ",
    ] {
        let text = Session::new().run(&format!("{verb}--help"));
        let name = if verb.is_empty() { "alveary".to_owned() } else { verb.trim_end().replace(' ', "-") };
        golden(&format!("help/{name}.txt"), text.text());
    }
}

#[test]
fn the_short_help_fits_a_screen() {
    let session = Session::new().run("-h").run("run -h");
    golden("help/short.txt", session.text());
    assert!(session.output("run -h").stdout.lines().count() <= 40);
}

#[test]
fn shells_know_the_verbs_and_options() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Session::new().output(&format!("completions {shell}")).stdout;
        for word in ["disasm", "dump-maps", "write-dropped"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
}

#[test]
fn man_writes_a_page_for_each_verb() {
    let session = Session::new();
    assert_eq!(session.output("man ./pages").code, Some(0));
    for page in ["alveary.1", "alveary-run.1", "alveary-show.1", "alveary-disasm.1", "alveary-asm.1"] {
        let text = String::from_utf8(session.read(&format!("pages/{page}"))).expect("it is text");
        assert!(text.contains(".SH SYNOPSIS"), "{page} has a synopsis");
    }
    assert!(session.output("man").stdout.contains("alveary"));
    let page = session.output("man btf dump");
    assert!(
        page.stdout.contains("alveary\\-btf\\-dump") || page.stdout.contains("alveary-btf-dump"),
        "{}",
        page.stdout
    );
    assert!(session.output("man no such").stderr.contains("there is no verb `no such`"));
    assert!(session.output("man disasn").stderr.contains("there is no verb `disasn`"));
    assert!(!session.exists("disasn"), "a misspelt verb makes no directory");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let session = Session::new()
        .run("")
        .run("dissasm x.o")
        .run("show")
        .run("show x.o --sauce")
        .run("asm x.s")
        .run("disasm x.o --ebpf")
        .run("--json show");
    golden("usage.txt", session.text());
}
