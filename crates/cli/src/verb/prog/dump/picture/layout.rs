//! Where boxes and lines of a picture stand: boxes in layers, each below those that lead to it, lines that cross as
//! little as a few sweeps can do. Knows nothing of programs, and nothing of drawing.
//!
//! The way of Sugiyama: edges that close a circle are turned round, every box gets a layer, edges over several layers a
//! place in each of them; then the places of a layer are ordered, then moved to where their neighbours are.

use alveary_sort::Sort;
use std::ops::Range;

/// Between boxes beside each other, and between layers.
const BESIDE: f64 = 28.0;
const BELOW: f64 = 44.0;
/// Width of the place of a line that passes a layer.
const LINE: f64 = 10.0;
/// Edges over more layers are drawn straight through: a place in each would be too many.
const LONGEST: usize = 200;
/// Sweeps over all layers that order them, and that move them.
const ORDERING: usize = 12;
const MOVING: usize = 12;

/// Width and height.
pub(super) type Size = (f64, f64);
/// From the left and from the top.
pub(super) type Point = (f64, f64);

/// Everything in its place.
pub(super) struct Layout {
    pub(super) size: Size,
    /// The upper left corner of each box.
    pub(super) boxes: Vec<Point>,
    /// The lines of the edges.
    pub(super) lines: Vec<Line>,
}

/// The line of an edge.
pub(super) struct Line {
    /// From the lower side of one box to the upper side of another: each part leads straight down or straight up where it
    /// begins and ends.
    pub(super) points: Vec<Point>,
    /// It leads back up.
    pub(super) back: bool,
}

/// Lays out boxes and the edges between them (indices). The first box is where everything begins.
pub(super) fn lay_out(boxes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let back = closing(boxes.len(), edges);
    let layers = layers(boxes.len(), edges, &back);
    let mut places = Places::new(boxes, edges, &back, &layers);
    places.order();
    places.move_to_neighbours();
    places.finish(edges, &back)
}

/// Which edges close a circle: those that lead to a box on the way to where they begin.
fn closing(boxes: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut from: Vec<Vec<usize>> = vec![Vec::new(); boxes];
    for (index, (start, _)) in edges.iter().enumerate() {
        from[*start].push(index);
    }
    let mut closing = vec![false; edges.len()];
    // 0: not seen, 1: on the way, 2: done.
    let mut state = vec![0u8; boxes];
    for root in 0..boxes {
        let mut way = vec![(root, 0)];
        while let Some((at, next)) = way.last_mut() {
            let (at, taken) = (*at, *next);
            if taken == 0 {
                if state[at] != 0 {
                    way.pop();
                    continue;
                }
                state[at] = 1;
            }
            *next += 1;
            match from[at].get(taken) {
                Some(edge) if state[edges[*edge].1] == 1 => closing[*edge] = true,
                Some(edge) => way.push((edges[*edge].1, 0)),
                None => {
                    state[at] = 2;
                    way.pop();
                }
            }
        }
    }
    closing
}

/// The layer of each box: one below the lowest of those that lead to it.
fn layers(boxes: usize, edges: &[(usize, usize)], back: &[bool]) -> Vec<usize> {
    let forward = || edges.iter().zip(back).filter(|(_, back)| !**back).map(|(edge, _)| *edge);
    let (mut waits, mut to) = (vec![0usize; boxes], vec![Vec::new(); boxes]);
    for (start, end) in forward() {
        waits[end] += 1;
        to[start].push(end);
    }
    let mut layers = vec![0; boxes];
    let mut ready: Vec<usize> = (0..boxes).filter(|index| waits[*index] == 0).collect();
    while let Some(start) = ready.pop() {
        for end in &to[start] {
            layers[*end] = layers[*end].max(layers[start] + 1);
            waits[*end] -= 1;
            if waits[*end] == 0 {
                ready.push(*end);
            }
        }
    }
    layers
}

/// What stands in layers: the boxes, then the places of lines that pass.
struct Places {
    /// How many are boxes.
    boxes: usize,
    sizes: Vec<Size>,
    layer: Vec<usize>,
    /// Neighbours in the layer above, in the one below; of a line that turns in a layer also the box beside it.
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
    /// What each layer has, from left to right.
    layers: Vec<Vec<usize>>,
    /// The middle of each, from the left.
    middle: Vec<f64>,
    /// The places that each edge passes, from above to below.
    passed: Vec<Range<usize>>,
}

impl Places {
    fn new(boxes: &[Size], edges: &[(usize, usize)], back: &[bool], layers: &[usize]) -> Places {
        let count = layers.iter().max().map_or(0, |last| last + 1);
        let mut places = Places {
            boxes: boxes.len(),
            sizes: boxes.to_vec(),
            layer: layers.to_vec(),
            above: vec![Vec::new(); boxes.len()],
            below: vec![Vec::new(); boxes.len()],
            layers: vec![Vec::new(); count],
            middle: Vec::new(),
            passed: Vec::new(),
        };
        for (index, layer) in layers.iter().enumerate() {
            places.layers[*layer].push(index);
        }
        for ((start, end), back) in edges.iter().zip(back) {
            let passed = if *back { places.pass_back(*start, *end) } else { places.pass(*start, *end) };
            places.passed.push(passed);
        }
        places.middle = vec![0.0; places.sizes.len()];
        places
    }

    /// Has a line pass the layers between two boxes.
    fn pass(&mut self, upper: usize, lower: usize) -> Range<usize> {
        let (first, last) = (self.layer[upper] + 1, self.layer[lower]);
        let between = if last - first > LONGEST { first..first } else { first..last };
        let passed = self.add(between);
        let chain: Vec<usize> = std::iter::once(upper).chain(passed.clone()).chain([lower]).collect();
        if last - first <= LONGEST {
            self.connect(&chain);
        }
        passed
    }

    /// Has a line lead back up beside both boxes.
    fn pass_back(&mut self, lower: usize, upper: usize) -> Range<usize> {
        let (first, last) = (self.layer[upper], self.layer[lower]);
        let passed = self.add(if last - first > LONGEST { first..first } else { first..last + 1 });
        self.connect(&passed.clone().collect::<Vec<_>>());
        if let (Some(top), Some(bottom)) = (passed.clone().next(), passed.clone().next_back()) {
            self.above[top].push(upper);
            self.below[bottom].push(lower);
        }
        passed
    }

    fn add(&mut self, layers: Range<usize>) -> Range<usize> {
        let first = self.sizes.len();
        for layer in layers {
            self.layers[layer].push(self.sizes.len());
            self.sizes.push((LINE, 0.0));
            self.layer.push(layer);
            self.above.push(Vec::new());
            self.below.push(Vec::new());
        }
        first..self.sizes.len()
    }

    fn connect(&mut self, chain: &[usize]) {
        for pair in chain.windows(2) {
            self.below[pair[0]].push(pair[1]);
            self.above[pair[1]].push(pair[0]);
        }
    }

    /// Orders each layer by where the neighbours stand, downwards and upwards in turn.
    fn order(&mut self) {
        let mut rank = vec![0.0; self.sizes.len()];
        for sweep in 0..ORDERING {
            for step in 0..self.layers.len() {
                let down = sweep % 2 == 0;
                let layer = if down { step } else { self.layers.len() - 1 - step };
                let neighbours = if down { &self.above } else { &self.below };
                let mut wanted: Vec<(f64, usize)> = (0u32..)
                    .zip(&self.layers[layer])
                    .map(|(now, place)| (mean(&neighbours[*place], &rank).unwrap_or(now.into()), *place))
                    .collect();
                wanted.order_by(|a, b| a.0.total_cmp(&b.0));
                for (now, (_, place)) in (0u32..).zip(&wanted) {
                    rank[*place] = now.into();
                }
                self.layers[layer] = wanted.into_iter().map(|(_, place)| place).collect();
            }
        }
    }

    /// Moves what stands in a layer to the middle of its neighbours, as far as there is room.
    fn move_to_neighbours(&mut self) {
        for layer in &self.layers {
            let mut left = 0.0;
            for place in layer {
                self.middle[*place] = left + self.sizes[*place].0 / 2.0;
                left += self.sizes[*place].0 + BESIDE;
            }
        }
        for sweep in 0..MOVING {
            let down = sweep % 2 == 0;
            for step in 0..self.layers.len() {
                let layer = if down { step } else { self.layers.len() - 1 - step };
                let neighbours = if down { &self.above } else { &self.below };
                let wanted: Vec<f64> = self.layers[layer]
                    .iter()
                    .map(|place| mean(&neighbours[*place], &self.middle).unwrap_or(self.middle[*place]))
                    .collect();
                let widths: Vec<f64> = self.layers[layer].iter().map(|place| self.sizes[*place].0).collect();
                for (place, middle) in self.layers[layer].iter().zip(spread(&wanted, &widths)) {
                    self.middle[*place] = middle;
                }
            }
        }
        let lefts = self.middle.iter().zip(&self.sizes).map(|(middle, (width, _))| middle - width / 2.0);
        let leftmost = lefts.fold(f64::INFINITY, f64::min);
        self.middle.iter_mut().for_each(|middle| *middle -= leftmost);
    }

    fn finish(self, edges: &[(usize, usize)], back: &[bool]) -> Layout {
        let mut tops = Vec::new();
        let mut top = 0.0;
        for layer in &self.layers {
            let height = layer.iter().map(|place| self.sizes[*place].1).fold(0.0, f64::max);
            tops.push((top, top + height));
            top += height + BELOW;
        }
        let corner = |index: usize| (self.middle[index] - self.sizes[index].0 / 2.0, tops[self.layer[index]].0);
        let through = |place: usize| (self.middle[place], tops[self.layer[place]]);
        let line = |((start, end), passed, back): ((usize, usize), &Range<usize>, bool)| {
            let bottom = corner(start).1 + self.sizes[start].1;
            let mut points = vec![(self.middle[start], bottom)];
            if back {
                for (x, (top, bottom)) in passed.clone().rev().map(through) {
                    points.extend([(x, bottom), (x, top)]);
                }
            } else {
                for (x, (top, bottom)) in passed.clone().map(through) {
                    points.extend([(x, top), (x, bottom)]);
                }
            }
            points.push((self.middle[end], corner(end).1));
            Line { points, back }
        };
        let lines = edges.iter().zip(&self.passed).zip(back).map(|((edge, passed), back)| line((*edge, passed, *back)));
        let right = self.middle.iter().zip(&self.sizes).map(|(middle, (width, _))| middle + width / 2.0);
        Layout {
            size: (right.fold(0.0, f64::max), (top - BELOW).max(0.0)),
            lines: lines.collect(),
            boxes: (0..self.boxes).map(corner).collect(),
        }
    }
}

fn mean(neighbours: &[usize], of: &[f64]) -> Option<f64> {
    let count = u32::try_from(neighbours.len()).ok().filter(|count| *count > 0)?;
    Some(neighbours.iter().map(|one| of[*one]).sum::<f64>() / f64::from(count))
}

/// Middles as near to the wanted ones as may be, in their order, so that nothing of these widths overlaps: what would,
/// is moved as one.
fn spread(wanted: &[f64], widths: &[f64]) -> Vec<f64> {
    // How far right of the first each has to be.
    let mut offsets = Vec::with_capacity(widths.len());
    let mut offset = 0.0;
    for (index, width) in widths.iter().enumerate() {
        if index > 0 {
            offset += (widths[index - 1] + width) / 2.0 + BESIDE;
        }
        offsets.push(offset);
    }
    // Groups that move as one: their sum, and how many.
    let mut groups: Vec<(f64, u32)> = Vec::new();
    for (wanted, offset) in wanted.iter().zip(&offsets) {
        let mut group = (wanted - offset, 1);
        while let Some(last) = groups.pop_if(|last| last.0 / f64::from(last.1) > group.0 / f64::from(group.1)) {
            group = (group.0 + last.0, group.1 + last.1);
        }
        groups.push(group);
    }
    let starts = groups.iter().flat_map(|(sum, count)| (0..*count).map(move |_| sum / f64::from(*count)));
    starts.zip(&offsets).map(|(start, offset)| start + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Size = (100.0, 40.0);

    fn overlap(layout: &Layout) -> bool {
        let apart = |a: Point, b: Point| (a.0 - b.0).abs() >= BOX.0 || (a.1 - b.1).abs() >= BOX.1;
        let all = &layout.boxes;
        (0..all.len()).any(|i| (0..i).any(|j| !apart(all[i], all[j])))
    }

    #[test]
    fn a_branch_meets_below() {
        let layout = lay_out(&[BOX; 4], &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        let [top, left, right, bottom] = layout.boxes[..] else { panic!("four boxes") };
        assert!(!overlap(&layout));
        assert_eq!((top.0, left.1), (bottom.0, right.1), "symmetric");
        assert!(top.1 < left.1 && left.1 < bottom.1);
        assert!((left.0 + right.0 - top.0 * 2.0).abs() < 1.0);
    }

    #[test]
    fn a_loop_leads_back_up_beside_its_boxes() {
        let layout = lay_out(&[BOX; 3], &[(0, 1), (1, 2), (2, 1), (1, 1)]);
        assert_eq!(layout.lines.iter().map(|line| line.back).collect::<Vec<_>>(), [false, false, true, true]);
        let beside = layout.lines[2].points[2].0;
        let boxes = layout.boxes.iter().skip(1);
        assert!(boxes.clone().all(|left| beside <= left.0 || beside >= left.0 + BOX.0), "not through a box");
    }

    #[test]
    fn lines_pass_beside_what_they_skip() {
        let layout = lay_out(&[BOX; 4], &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        assert!(!overlap(&layout));
        let long = &layout.lines[3].points;
        assert_eq!(long.len(), 6, "from box to box, in and out of two layers");
        assert!(
            long[1..5].iter().all(|point| layout.boxes[1..3].iter().all(|b| point.0 < b.0 || point.0 > b.0 + BOX.0))
        );
    }

    #[test]
    fn boxes_alone_and_none_at_all() {
        assert_eq!(lay_out(&[BOX], &[]).boxes, [(0.0, 0.0)]);
        assert_eq!(lay_out(&[], &[]).size, (0.0, 0.0));
    }
}
