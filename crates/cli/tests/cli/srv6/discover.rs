//! `alveary srv6 discover`: the graph of a network whose ways are known.

use crate::session::Session;
use serde_json::{Value, json};

/// Eight routers between two hosts, an example: it shows how they are connected. `r1`, `r2` and `r3` have two ways each; `r4`
/// and `r6` do not speak End.OAMP.
const NETWORK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/srv6-network.toml"));

fn session() -> Session {
    Session::new().file("network.toml", NETWORK).example("srv6-oamp.bpf.o")
}

/// What follows each hop, and who told it.
pub(super) fn ways(graph: &Value) -> Vec<(String, Vec<String>, Value)> {
    let address = |value: &Value| value["address"].as_str().unwrap_or("*").to_owned();
    let hops = graph["hops"].as_array().expect("hops").iter();
    hops.map(|hop| {
        let mut next: Vec<_> = hop["next"].as_array().expect("next").iter().map(address).collect();
        next.sort();
        (address(hop), next, hop["told_by"].clone())
    })
    .collect()
}

/// What is to be found, by addresses.
pub(super) fn expected() -> Vec<(String, Vec<String>, Value)> {
    let router = |number: u32| format!("fc00:{number}::1");
    let told = |at: u32, next: &[u32]| (router(at), next.iter().map(|next| router(*next)).collect(), json!("itself"));
    let flows = |at: u32, next: &[u32]| (router(at), next.iter().map(|next| router(*next)).collect(), json!("flows"));
    vec![
        ("2001:db8:a::1".to_owned(), vec![router(1)], json!("flows")),
        ("2001:db8:b::1".to_owned(), vec![], Value::Null),
        told(1, &[2, 3]),
        told(2, &[4, 5]),
        told(3, &[5, 6]),
        flows(4, &[7]),
        told(5, &[7]),
        flows(6, &[7]),
        told(7, &[8]),
        (router(8), vec!["2001:db8:b::1".to_owned()], json!("itself")),
    ]
}

#[test]
fn a_network_of_eight_routers_is_discovered() {
    let session = session();
    let line = "srv6 discover 2001:db8:b::1 --topology network.toml --from h";
    let output = session.output(&format!("{line} --json"));
    let graph: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
    assert_eq!((&graph["target"], &graph["reached"]), (&json!("2001:db8:b::1"), &json!(true)));
    let mut found = ways(&graph);
    found.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found, expected());
    assert_eq!(session.output(&format!("{line} --json")).stdout, output.stdout, "the same at every run");
    let text = session.output(line).stdout;
    assert!(text.contains("fc00:2::1, fc00:3::1\n") && text.lines().count() == 11, "{text}");
    let svg = session.output(&format!("{line} --graph svg")).stdout;
    assert_eq!((svg.matches("<rect x=").count(), svg.matches("<path d=").count()), (10, 12), "{svg}");
    assert_eq!(svg.matches("stroke-dasharray").count(), 3);
}

#[test]
fn hops_that_do_not_tell_are_found_by_flows() {
    let silent =
        NETWORK.replace("behaviour = \"End.BPF\"\nprogram = \"srv6-oamp.bpf.o:oamp\"", "behaviour = \"blackhole\"");
    let session = Session::new().file("network.toml", silent).example("srv6-oamp.bpf.o");
    let line = "srv6 discover 2001:db8:b::1 --topology network.toml --from h --tries 1";
    let graph: Value = serde_json::from_str(&session.output(&format!("{line} --json")).stdout).expect("a graph");
    let found = ways(&graph);
    assert!(found.iter().all(|(_, _, by)| by != "itself"));
    let of = |at: &str| found.iter().find(|(address, ..)| address == at).map(|(_, next, _)| next.join(" "));
    assert_eq!(of("fc00:1::1").as_deref(), Some("fc00:2::1 fc00:3::1"));
    assert_eq!(of("fc00:8::1").as_deref(), Some("2001:db8:b::1"));
    // One flow has one way.
    let graph = session.output(&format!("{line} --flows 1 --json")).stdout;
    let graph: Value = serde_json::from_str(&graph).expect("a graph");
    assert_eq!(graph["hops"].as_array().map(Vec::len), Some(7), "{graph}");
}

#[test]
fn a_destination_that_does_not_answer_is_told() {
    let session = session();
    let output = session.output("srv6 discover 2001:db8:b::7 --topology network.toml --from h --hops 6");
    assert!(output.stdout.contains("the destination did not answer\n"), "{} {}", output.stdout, output.stderr);
    for (arguments, expected) in [
        ("--topology network.toml --from r1", "there is no host `r1`"),
        ("--topology network.toml", "--from <HOST>"),
        ("--from h", "--topology <TOPOLOGY.toml>"),
    ] {
        let output = session.output(&format!("srv6 discover 2001:db8:b::1 {arguments}"));
        assert!(output.code != Some(0) && output.stderr.contains(expected), "{arguments}: {}", output.stderr);
    }
}
