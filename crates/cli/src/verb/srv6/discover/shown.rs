//! What was found, as text and JSON.

use alveary::net::discovery::{By, Graph, Hop, Vertex};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// One line for each hop.
pub(in super::super) fn text(graph: &Graph) -> String {
    let mut text = format!("ways to {}\n", graph.target);
    for Hop { at, distance, by, next } in &graph.hops {
        let how = match by {
            By::Itself => "tells",
            By::Flows => "flows",
            By::End => "",
        };
        let line = format!("{distance:3}  {:39}  {how:5}  {}", name(*at), list(next));
        // There is always room in a text.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if !graph.reached {
        text.push_str("the destination did not answer\n");
    }
    text
}

/// Next hops; shares are told where they differ.
fn list(next: &[(Vertex, Option<u32>)]) -> String {
    let equal = next.iter().all(|(_, share)| *share == next[0].1);
    let one = |(at, share): &(Vertex, Option<u32>)| match share {
        Some(share) if !equal => format!("{} ({share})", name(*at)),
        _ => name(*at),
    };
    next.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// An address, or a star.
pub(super) fn name(at: Vertex) -> String {
    match at {
        Vertex::Known(address) => address.to_string(),
        Vertex::Silent(_) => "*".to_owned(),
    }
}

/// The graph: hops with what follows.
pub(in super::super) fn object(graph: &Graph) -> Value {
    let address = |at: &Vertex| match at {
        Vertex::Known(address) => json!(address),
        Vertex::Silent(_) => Value::Null,
    };
    let hops = graph.hops.iter().map(|Hop { at, distance, by, next }| {
        let next = next.iter().map(|(at, share)| json!({ "address": address(at), "share": share }));
        let by = match by {
            By::Itself => json!("itself"),
            By::Flows => json!("flows"),
            By::End => Value::Null,
        };
        json!({ "address": address(at), "distance": distance, "told_by": by, "next": next.collect::<Vec<_>>() })
    });
    json!({ "target": graph.target, "reached": graph.reached, "hops": hops.collect::<Vec<_>>() })
}
