//! The graph as SVG: hops from left to right, in columns by their distance.

use super::shown::name;
use alveary::net::discovery::{By, Graph, Hop, Vertex};
use std::{collections::BTreeMap, fmt::Write as _};

/// Between columns, and between hops of one.
const COLUMN: usize = 300;
const ROW: usize = 64;
/// A hop's box.
const WIDTH: usize = 220;
const HEIGHT: usize = 34;
const MARGIN: usize = 24;
/// Of hops that told, of those that flows told, of ends.
const COLOURS: [(By, &str); 3] = [(By::Itself, "#cfe8dc"), (By::Flows, "#fbe3c0"), (By::End, "#e6e6e6")];

/// Draws it.
pub(in super::super) fn svg(graph: &Graph) -> String {
    let mut columns: BTreeMap<u8, Vec<&Hop>> = BTreeMap::new();
    graph.hops.iter().for_each(|hop| columns.entry(hop.distance).or_default().push(hop));
    let most = columns.values().map(Vec::len).max().unwrap_or(0);
    let (width, height) = (columns.len() * COLUMN - (COLUMN - WIDTH) + 2 * MARGIN, most * ROW + 2 * MARGIN);
    let mut places: BTreeMap<Vertex, (usize, usize)> = BTreeMap::new();
    for (column, hops) in columns.values().enumerate() {
        let top = MARGIN + (most - hops.len()) * ROW / 2 + (ROW - HEIGHT) / 2;
        for (row, hop) in hops.iter().enumerate() {
            places.insert(hop.at, (MARGIN + column * COLUMN, top + row * ROW));
        }
    }
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>ways to {}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        graph.target
    );
    let mut add = |line: String| {
        // There is always room in a text.
        let _ = writeln!(svg, "{line}");
    };
    for hop in &graph.hops {
        for (next, share) in &hop.next {
            let (Some(from), Some(to)) = (places.get(&hop.at), places.get(next)) else { continue };
            add(edge(*from, *to, share.is_some()));
        }
    }
    for hop in &graph.hops {
        let Some((x, y)) = places.get(&hop.at) else { continue };
        let colour = COLOURS.iter().find(|(by, _)| *by == hop.by).map_or("#fff", |(_, colour)| *colour);
        let (middle, line) = (x + WIDTH / 2, y + HEIGHT / 2 + 4);
        add(format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"{colour}\" stroke=\"#444\"/>"
        ));
        add(format!("<text x=\"{middle}\" y=\"{line}\" text-anchor=\"middle\">{}</text>", name(hop.at)));
    }
    svg.push_str("</svg>\n");
    svg
}

/// From the right side of one box to the left side of another; what flows showed alone is dashed.
fn edge((x, y): (usize, usize), (to_x, to_y): (usize, usize), told: bool) -> String {
    let (x, y, to_y) = (x + WIDTH, y + HEIGHT / 2, to_y + HEIGHT / 2);
    let middle = x.midpoint(to_x);
    let dashes = if told { "" } else { " stroke-dasharray=\"5 4\"" };
    format!("<path d=\"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}\" fill=\"none\" stroke=\"#444\"{dashes}/>")
}
