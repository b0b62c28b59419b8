//! What the pages say of configurations.

use super::*;

/// What the pages say that a configuration has is one, with the table that each has if it is a part of one.
#[test]
fn configurations_of_the_pages_are_right() {
    let pages = [include_str!("../../../../../docs/lb.md"), include_str!("../../../../../docs/lb-data-plane.md")];
    let blocks = pages.iter().flat_map(|page| page.split("```toml\n").skip(1));
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5, "{blocks:?}");
    for block in blocks {
        let own = if block.lines().any(|line| line == "[balancer]") {
            ""
        } else {
            "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n"
        };
        let text = format!("{own}{block}");
        // Where they are in etcd it has VIPs.
        let vips = ("etcd", "[[vip]]\naddress = \"192.0.2.1\"\nport = 80\nreal = [{ address = \"10.0.0.1\" }]\n");
        let shared = block.contains("[etcd]").then_some(vips);
        if let Err(faults) = Config::read_placed("lb.toml", &text, shared) {
            panic!("{text}\n{faults:#?}");
        }
    }
}

/// docs/lb.md names every key, and what it is without a word.
#[test]
fn every_key_is_in_the_reference() {
    let page = include_str!("../../../../../docs/lb.md");
    let section = page.split("## Every key\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let mut rows: Vec<(&str, &str, &str)> = Vec::new();
    for line in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [key, _, without] = cells[..] else { panic!("{line}") };
        let key = key.trim_start_matches("| `").trim_end_matches('`');
        let (table, key) = key.rsplit_once('.').expect("a table and a key");
        rows.push((table, key, without.trim_end_matches(" |")));
    }
    // The tables, each of which has one key more.
    let whole = |table: &str, line: &str| {
        let (forward, kind) = match line.split(' ').next().unwrap_or_default() {
            "gue-port" | "checksum" => ("gue", "tcp"),
            "path" | "host" | "status" => ("ip", "http"),
            "verify" => ("ip", "https"),
            _ => ("ip", "tcp"),
        };
        let forward = if line.starts_with("forward") { String::new() } else { format!("forward = \"{forward}\"\n") };
        let mut text = String::new();
        for (name, header, lines) in [
            ("balancer", "[balancer]", "devices = [\"eth0\"]\nsource = [\"10.0.9.2\", \"fc00::9\"]\n".to_owned()),
            ("limits", "[limits]", String::new()),
            ("rates", "[rates]", String::new()),
            ("api", "[api]", String::new()),
            ("announce", "[announce]", "file = \"/x\"\n".to_owned()),
            ("default", "[default]", String::new()),
            ("vip", "[[vip]]", "address = \"192.0.2.1\"\nport = 80\n".to_owned()),
            ("vip.check", "[vip.check]", format!("type = \"{kind}\"\n")),
            ("vip.real", "[[vip.real]]", format!("address = \"10.0.0.1\"\n{forward}")),
            ("vip.route", "[[vip.route]]", "from = \"10.0.0.0/8\"\nreals = \"10.0.0.1\"\n".to_owned()),
        ] {
            let more = if name == table { format!("{line}\n") } else { String::new() };
            text += &format!("{header}\n{lines}{more}");
        }
        let rest = match table {
            "katran" => format!("[katran]\n{line}\n"),
            "metrics" => format!("[metrics]\naddress = \"127.0.0.1:1\"\n{line}\n"),
            "sync" => format!("[sync]\nlisten = \"10.0.0.1:1\"\npeers = \"10.0.0.2:1\"\nkey = \"/x\"\n{line}\n"),
            _ => String::new(),
        };
        text + &rest
    };
    let tables: std::collections::BTreeSet<&str> = rows.iter().map(|(table, ..)| *table).collect();
    for table in tables {
        // Who names a key that there is not is told those that there are.
        let why = Config::read("lb.toml", &whole(table, "qqqqqqqqqqqqqqqq = 1")).expect_err(table);
        let keys = why[0].expected.clone().unwrap_or_else(|| panic!("{table}: {why:#?}"));
        let mut keys: Vec<&str> = keys.split(", ").map(|key| key.trim_matches('`')).collect();
        let mut said: Vec<&str> = rows.iter().filter(|(of, ..)| *of == table).map(|(_, key, _)| *key).collect();
        keys.sort_unstable();
        said.sort_unstable();
        assert_eq!(said, keys, "{table}");
    }
    let read = |text: &str| {
        let mut config = Config::read("lb.toml", text).unwrap_or_else(|faults| panic!("{text}\n{faults:#?}"));
        for vip in &mut config.vips {
            vip.at = 0..0;
            vip.reals.iter_mut().for_each(|real| real.at = 0..0);
        }
        config
    };
    for (table, key, without) in rows.iter().filter(|(.., without)| without.starts_with('`')) {
        let said = read(&whole(table, &format!("{key} = {}", without.trim_matches('`'))));
        assert_eq!(said, read(&whole(table, &format!("{key} #")).replace(&format!("{key} #"), "")), "{table}.{key}");
    }
}
