//! How much and how many, and how much is shown of it.

use super::*;

/// Limits are those that `serve` has, and what is beyond them is told where.
#[test]
fn limits_are_checked() {
    let vip = |number: u32, reals: u32| {
        let real = |at| format!("{{ address = \"10.0.{number}.{at}\" }}");
        let reals: Vec<String> = (1..=reals).map(real).collect();
        format!("[[vip]]\naddress = \"192.0.2.{number}\"\nport = 80\nslots = 101\nreal = [{}]\n", reals.join(", "))
    };
    let own = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[limits]\nvips = 2\nreals = 3\nslots = 303\n";
    Config::read("lb.toml", &format!("{own}{}{}", vip(1, 1), vip(2, 2))).unwrap_or_else(|faults| panic!("{faults:#?}"));
    for (vips, expected) in [
        (
            format!("{}{}", vip(1, 2), vip(2, 2)),
            "lb.toml:13:1: there is no room for so many reals (expected at most 3, found 4)",
        ),
        (
            format!("{}{}{}", vip(1, 1), vip(2, 1), vip(3, 1)),
            "lb.toml:18:1: there is no room for so many VIPs (expected at most 2, found 3)",
        ),
        (
            format!("{}{}", vip(1, 1), vip(2, 1).replace("101", "103")),
            "lb.toml:13:1: there is no room for so many slots of tables, and one table that changes \
             (expected at most 303, found 307)",
        ),
    ] {
        assert_eq!(lines(&format!("{own}{vips}")), [expected]);
    }
}

#[test]
fn limits_are_said_where_they_are_passed() {
    for (more, expected) in [
        ("drain = \"2d\"", "a time of at most a day"),
        ("slow-start = \"25h\"", "a time of at most a day"),
        ("port = 80000", "a port from 1 to 65535"),
        ("port = [80, -1]", "a port from 1 to 65535"),
    ] {
        let text = format!("[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\n{more}\n");
        let faults = Config::read("lb.toml", &text).expect_err(more);
        assert!(faults[0].expected.as_deref().is_some_and(|said| said.contains(expected)), "{more}: {faults:?}");
    }
}

#[test]
fn what_is_shown_is_cut() {
    let long = "x".repeat(100_000);
    for text in [
        format!("[balancer]\ndevices = [\"eth0\"]\nmode = \"{long}\""),
        format!("[balancer]\ndevices = [\"eth0\"]\n{long} = 1"),
        format!("[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\nname = \"{long}\""),
        format!("[balancer]\ndevices = [\"{long}\"]"),
    ] {
        let lines = lines(&text);
        assert!(lines.iter().all(|line| line.len() < 1000), "{:?}", lines.iter().map(String::len).collect::<Vec<_>>());
    }
}

#[test]
fn a_file_without_an_end_is_no_configuration() {
    let why = text(std::path::Path::new("/dev/zero")).expect_err("it has no end");
    assert!(why.to_string().contains("the file is larger than 64 MiB"), "{why}");
}
