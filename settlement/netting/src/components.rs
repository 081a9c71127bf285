//! Strongly connected components (Tarjan), without recursion. O(nodes + arcs).

/// The component of each node. Components are numbered such that every arc between two of them leads to the lower number.
#[derive(Debug)]
pub(crate) struct Components {
    /// Component of each node.
    pub(crate) of: Vec<u32>,
    /// How many there are.
    pub(crate) count: u32,
}

const UNSEEN: u32 = 0;
const OPEN: u32 = u32::MAX;

/// Finds the components of the graph whose node `v` has the arcs `heads[from[v]..from[v + 1]]`. An arc that `is_there` denies
/// is not followed.
pub(crate) fn components(
    from: &[u32],
    heads: &[u32],
    is_there: impl Fn(usize) -> bool,
) -> Components {
    let n = from.len().saturating_sub(1);
    let mut of = vec![OPEN; n];
    let mut count = 0;
    // Order of discovery, from 1, and the earliest open node that is known to be reached.
    let mut found = vec![UNSEEN; n];
    let mut lowest = vec![0_u32; n];
    let mut last = 0;
    let mut open: Vec<u32> = vec![];
    let mut path: Vec<(u32, u32)> = vec![];
    for root in 0..n {
        if found[root] != UNSEEN {
            continue;
        }
        path.push((root as u32, from[root]));
        while let Some((node, next)) = path.last_mut() {
            let v = *node as usize;
            if found[v] == UNSEEN {
                last += 1;
                found[v] = last;
                lowest[v] = last;
                open.push(*node);
            }
            if *next < from[v + 1] {
                let arc = *next as usize;
                *next += 1;
                let w = heads[arc] as usize;
                if !is_there(arc) {
                    continue;
                }
                if found[w] == UNSEEN {
                    path.push((w as u32, from[w]));
                } else if of[w] == OPEN {
                    lowest[v] = lowest[v].min(found[w]);
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                lowest[*parent as usize] = lowest[*parent as usize].min(lowest[v]);
            }
            if lowest[v] == found[v] {
                while let Some(w) = open.pop() {
                    of[w as usize] = count;
                    if w as usize == v {
                        break;
                    }
                }
                count += 1;
            }
        }
    }
    Components { of, count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_are_components_and_arcs_lead_to_lower_numbers() {
        // 0 <-> 1 -> 2 -> 3 -> 2, 4 alone, 5 -> 5
        let (from, heads) = ([0, 1, 3, 4, 5, 5, 6], [1, 0, 2, 3, 2, 5]);
        let found = components(&from, &heads, |_| true);
        assert_eq!(found.count, 4);
        assert_eq!(found.of[0], found.of[1]);
        assert_eq!(found.of[2], found.of[3]);
        assert!(found.of[1] > found.of[2]);
        let cut = components(&from, &heads, |arc| arc != 1);
        assert_eq!(cut.count, 5);
        assert!(cut.of[0] > cut.of[1]);
    }
}
