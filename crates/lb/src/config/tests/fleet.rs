//! What a balancer has to do with others: BIRD, etcd, peers.

use super::*;

#[test]
fn what_it_has_to_do_with_others() {
    let with = |more: &str| lines(&format!("[balancer]\ndevices = [\"eth0\"]\n{more}"));
    for (more, said) in [
        ("[announce]", "`announce` lacks `file`"),
        ("[etcd]", "`etcd` lacks `endpoints`"),
        ("[etcd]\nendpoints = []", "`endpoints` names nothing"),
        ("[etcd]\nendpoints = [\"http://a:1\"]\nca = \"b\"", "`ca` is for members that speak TLS, and there are none"),
        (
            "[etcd]\nendpoints = [\"https://a:1\"]\ncertificate = \"b\"",
            "a certificate has a key, and a key its certificate",
        ),
        ("[announce]\nfile = \"/\"", "`file` is not what it should be"),
        ("[announce]\nfile = \"/x\"\nwhen = \"some\"", "`when` is not what it should be"),
        ("[announce]\nfile = \"/x\"\nas = 65001", "`as` is about peers, and there are none"),
        ("[announce]\nfile = \"/x\"\npeer = [{ address = \"10.0.0.1\", as = 1 }]", "no number of our own"),
        ("[announce]\nfile = \"/x\"\nas = 1\npeer = [{ address = \"10.0.0.1\" }]", "`peer` lacks `as`"),
    ] {
        assert_eq!(lines_containing(&with(more), said), 1, "{more}: {said}\n{:#?}", with(more));
    }
}

/// VIPs that are said to be in etcd, of a file that does not say where that is.
#[test]
fn vips_elsewhere_want_to_know_where() {
    let vips = "[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n";
    for more in ["", vips] {
        let own = format!("[balancer]\ndevices = [\"lo\"]\n{more}");
        let faults = Config::read_shared("lb.toml", &own, Some(("vips.toml", vips))).expect_err("where is etcd?");
        let expected = "lb.toml:1:1: its VIPs are said to be in etcd, and there is no table `[etcd]`";
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn who_writes_a_key_of_etcd_runs_no_programs() {
    let own =
        "[balancer]\ndevices = [\"eth0\"]\nsource = \"172.16.0.0\"\n[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]\n";
    let shared = "[[vip]]\naddress = \"192.0.2.1\"\nport = 80\nreal = [{ address = \"10.0.0.1\" }]\n\
                  check = { type = \"exec\", command = [\"true\"] }\n";
    let read = |own: &str| Config::read_shared("lb.toml", own, Some(("vips.toml", shared)));
    let faults = read(own).expect_err("it is refused");
    assert!(faults[0].to_string().contains("a check that etcd names runs no program here"), "{faults:?}");
    read(&format!("{own}exec = true\n")).expect("this machine allows it");
    // Nor is it said to be forbidden by who says something of it that cannot be read.
    for wrong in ["exc = true", "exec = 1"] {
        let faults = read(&format!("{own}{wrong}\n")).expect_err("it is refused");
        assert!(faults.len() == 1 && !faults[0].to_string().contains("runs no program"), "{wrong}: {faults:?}");
    }
}
