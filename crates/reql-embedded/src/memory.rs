//! The memory that the process may use: that of the machine, or less if a control group bounds it, as those
//! of containers do.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the number of bytes of memory that this process may use; `None` if the operating system doesn't
/// tell, and on any system but Linux.
///
/// The smallest bound of the process's control groups and their parents counts, of either version
/// ([`memory.max`](https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files),
/// [`memory.limit_in_bytes`](https://docs.kernel.org/admin-guide/cgroup-v1/memory.html)).
///
/// ```
/// if let Some(bytes) = reql_embedded::memory::limit() {
///     println!("This process may use {} MiB.", bytes >> 20);
/// }
/// ```
pub fn limit() -> Option<u64> {
    limit_in(Path::new("/"))
}

/// Returns an eighth of the memory that the process may use, but at most `most` bytes. Returns `most` where
/// the memory is unknown.
pub(crate) fn eighth(most: usize) -> usize {
    let part = limit().and_then(|limit| usize::try_from(limit / 8).ok());
    part.map_or(most, |part| part.min(most))
}

fn limit_in(root: &Path) -> Option<u64> {
    let bounds = group_files(root).into_iter().filter_map(|file| fs::read_to_string(file).ok());
    // No bound at all is `max`, or more than any machine has.
    let bounds = bounds.filter_map(|bound| bound.trim().parse().ok());
    bounds.chain(total(root)).min()
}

/// Returns the memory of the machine.
fn total(root: &Path) -> Option<u64> {
    let info = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Returns the files with the bounds of the process's control groups and of all their parents. Inside of a
/// container the group's name may be that of the machine outside, and only the last parent is visible: it is
/// the container's own group.
fn group_files(root: &Path) -> Vec<PathBuf> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let files = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let (mounted, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let mounted = root.join(mounted);
        let groups = Path::new(group).ancestors().map(move |group| mounted.join(group).join(file));
        Some(groups.collect::<Vec<_>>())
    });
    files.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "MemTotal:        8000000 kB\nMemFree:         100 kB\n";

    fn limited(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        limit_in(root.path())
    }

    #[test]
    fn the_smallest_bound_of_the_groups_counts() {
        let v2 = |own, parent| {
            limited(&[
                ("proc/meminfo", MACHINE),
                ("proc/self/cgroup", "0::/system.slice/a.service\n"),
                ("sys/fs/cgroup/system.slice/a.service/memory.max", own),
                ("sys/fs/cgroup/system.slice/memory.max", parent),
            ])
        };
        assert_eq!(v2("67108864\n", "max\n"), Some(64 << 20));
        assert_eq!(v2("max\n", "1048576\n"), Some(1 << 20));
        assert_eq!(v2("max\n", "max\n"), Some(8_192_000_000));
    }

    #[test]
    fn both_versions_of_groups_are_known() {
        let groups = "12:pids:/x\n5:cpu,memory:/docker/f00\n0::/docker/f00\n";
        let within = [("proc/meminfo", MACHINE), ("proc/self/cgroup", groups)];
        let bound = |name| limited(&[&within[..], &[(name, "67108864\n")]].concat());
        assert_eq!(bound("sys/fs/cgroup/memory/docker/f00/memory.limit_in_bytes"), Some(64 << 20));
        // As a container sees it, whose own group is all there is.
        assert_eq!(bound("sys/fs/cgroup/memory/memory.limit_in_bytes"), Some(64 << 20));
        assert_eq!(bound("sys/fs/cgroup/memory.max"), Some(64 << 20));
        assert_eq!(bound("sys/fs/cgroup/pids/x/memory.max"), Some(8_192_000_000));
    }

    #[test]
    fn there_may_be_nothing_to_know() {
        assert_eq!(limited(&[]), None);
        assert_eq!(limited(&[("proc/meminfo", "MemFree: 1 kB"), ("proc/self/cgroup", "nonsense\n")]), None);
        let unbounded = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
        let groups = ("proc/self/cgroup", "4:memory:/\n");
        assert_eq!(limited(&[("proc/meminfo", MACHINE), groups, unbounded]), Some(8_192_000_000));
    }
}
