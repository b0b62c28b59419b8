//! What a status tells besides VIPs, reals and packets: routers, peers, etcd, and what else the data plane counts.

use super::client::{count, each, text};
use crate::table::{Align, Table, grouped};
use serde_json::Value;

/// How it is with others, a line each; none for those that the configuration does not name.
pub(super) fn lines(status: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let announce = &status["announce"];
    if announce.is_object() {
        let addresses: Vec<String> = each(&announce["addresses"]).map(text).collect();
        let told = if addresses.is_empty() { "nothing".to_owned() } else { addresses.join(", ") };
        let how = match (announce["why_not"].as_str(), announce["withdrawn"] == true) {
            (Some(why), _) => format!("; what is to be announced BIRD has not taken: {why}"),
            (None, true) => "; withdrawn, until `alveary lb announce`".to_owned(),
            (None, false) => String::new(),
        };
        lines.push(format!("announced: {told}{how}"));
    }
    let etcd = &status["etcd"];
    if etcd.is_object() {
        let from = match count(&etcd["revision"]) {
            0 => "those that were kept".to_owned(),
            revision => format!("revision {revision}"),
        };
        let mut line = format!("etcd: VIPs are {from} of {}", text(&etcd["from"]));
        for (what, why) in [("no member answers", &etcd["gone"]), ("refused", &etcd["refused"])] {
            if let Some(why) = why.as_str() {
                line += &format!("; {what}: {why}");
            }
        }
        lines.push(line);
    }
    let sync = &status["sync"];
    if sync.is_object() {
        let peer = |peer: &Value| {
            let heard = if peer["heard"] == true { "heard" } else { "not heard" };
            format!("{} {heard}", text(&peer["address"]))
        };
        let peers: Vec<String> = each(&sync["peers"]).map(peer).collect();
        let of = |what: &str| grouped(count(&sync[what]));
        lines.push(format!(
            "peers: {}; connections told {}, heard {}, of reals that are none here {}; datagrams refused {}",
            peers.join(", "),
            of("told"),
            of("heard"),
            of("unknown"),
            of("refused"),
        ));
    }
    lines
}

/// What else was counted, if anything was.
pub(super) fn counted(status: &Value) -> Option<Table> {
    let mut table = Table::new(vec![("what else was counted", Align::Left), ("", Align::Right), ("", Align::Left)]);
    let events: Vec<&Value> = each(&status["events"]).filter(|one| count(&one["count"]) > 0).collect();
    for event in &events {
        table.row([text(&event["name"]), grouped(count(&event["count"])), text(&event["about"])]);
    }
    (!events.is_empty()).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_not_there_is_told() {
        assert_eq!(lines(&json!({ "name": "main" })), [""; 0]);
        let said = lines(&json!({
            "announce": { "addresses": [], "withdrawn": true, "why_not": null },
            "etcd": { "from": "etcd:/lb", "revision": 0, "gone": "refused by a:2379", "refused": null },
            "sync": {
                "peers": [{ "address": "10.0.9.3:7947", "heard": false }], "told": 1200, "heard": 0, "unknown": 0,
                "refused": 7,
            },
        }));
        assert_eq!(
            said,
            [
                "announced: nothing; withdrawn, until `alveary lb announce`",
                "etcd: VIPs are those that were kept of etcd:/lb; no member answers: refused by a:2379",
                "peers: 10.0.9.3:7947 not heard; connections told 1,200, heard 0, of reals that are none here 0; datagrams \
                 refused 7",
            ]
        );
        let said = lines(&json!({
            "announce": { "addresses": ["192.0.2.1"], "withdrawn": false, "why_not": "it does not answer" },
            "etcd": { "from": "etcd:/lb", "revision": 5, "gone": null, "refused": "`address` is not what it should be" },
        }));
        assert_eq!(
            said,
            [
                "announced: 192.0.2.1; what is to be announced BIRD has not taken: it does not answer",
                "etcd: VIPs are revision 5 of etcd:/lb; refused: `address` is not what it should be",
            ]
        );
    }

    #[test]
    fn what_was_counted_is_told() {
        let events =
            |count: u64| json!({ "events": [{ "name": "not-entered", "about": "over the rate", "count": count }] });
        assert!(counted(&events(0)).is_none());
        assert!(counted(&events(3)).is_some());
    }
}
