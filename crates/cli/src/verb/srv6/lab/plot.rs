//! Results drawn: lines over two axes, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 56.0;
/// Of lines, in their order (Okabe and Ito: told apart by all eyes).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// Marks on an axis, about.
const MARKS: f64 = 6.0;

/// A line: its name, its points from left to right.
pub(super) type Line = (String, Vec<(f64, f64)>);

/// A drawing of lines; axes begin at 0 and end behind the last point.
pub(super) fn lines(title: &str, axes: [&str; 2], lines: &[Line]) -> String {
    let most = |of: fn(&(f64, f64)) -> f64| {
        let values = lines.iter().flat_map(|(_, points)| points.iter().map(of)).filter(|value| value.is_finite());
        values.fold(0.0, f64::max).max(1e-9)
    };
    let (step_x, step_y) = (step(most(|point| point.0)), step(most(|point| point.1)));
    let (end_x, end_y) = ((most(|p| p.0) / step_x).ceil() * step_x, (most(|p| p.1) / step_y).ceil() * step_y);
    let x = |value: f64| LEFT + value / end_x * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / end_y * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut add = |line: String| {
        // There is always room in a text.
        let _ = writeln!(svg, "{line}");
    };
    add(format!("<text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>", escaped(title)));
    for mark in marks(step_x, end_x) {
        let at = x(mark);
        add(format!("<path d=\"M{at:.1} {TOP}V{}\" stroke=\"#ddd\"/>", HEIGHT - BOTTOM));
        let below = HEIGHT - BOTTOM + 16.0;
        add(format!("<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>", number(mark)));
    }
    for mark in marks(step_y, end_y) {
        let at = y(mark);
        add(format!("<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#ddd\"/>", WIDTH - RIGHT));
        add(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", LEFT - 6.0, at + 4.0, number(mark)));
    }
    let (middle_x, middle_y) = ((LEFT + WIDTH - RIGHT) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0);
    add(format!("<text x=\"{middle_x}\" y=\"{}\" text-anchor=\"middle\">{}</text>", HEIGHT - 22.0, escaped(axes[0])));
    add(format!(
        "<text x=\"16\" y=\"{middle_y}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle_y})\">{}</text>",
        escaped(axes[1])
    ));
    for (at, ((name, points), colour)) in lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let path: Vec<String> = points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect();
        add(format!("<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join(" ")));
        let legend = TOP + 14.0 + 16.0 * at as f64;
        add(format!(
            "<text x=\"{}\" y=\"{legend}\" fill=\"{colour}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT - 8.0,
            escaped(name)
        ));
    }
    svg.push_str("</svg>\n");
    svg
}

/// 1, 2 or 5 of a power of ten.
fn step(most: f64) -> f64 {
    let rough = most / MARKS;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0].map(|of| of * power).into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power)
}

fn marks(step: f64, end: f64) -> impl Iterator<Item = f64> {
    (0..=(end / step).round() as u32).map(move |number| f64::from(number) * step)
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_shows_each_line_inside_its_axes() {
        let drawn =
            lines("a & b", ["ms", "part"], &[("one".into(), vec![(0.0, 0.0), (10.0, 1.0)]), ("two".into(), vec![])]);
        assert!(drawn.contains(">a &amp; b<") && drawn.contains(">one<") && drawn.contains(">two<"), "{drawn}");
        assert!(drawn.contains("<polyline points=\"70.0,364.0 740.0,40.0\""), "{drawn}");
        assert_eq!((step(10.0), step(0.9), number(0.25), number(10.0)), (2.0, 0.2, "0.25".into(), "10".into()));
    }
}
