//! Which paths are observed without being asked: section 7 of the compatibility contract.

use lwm2m::Path;
use lwm2m::model::ModelView;
use lwm2m::registration::ObjectLinks;

use crate::settings::{AutoObserve, Profile};

/// Paths of one device that are observed without being asked. Devices list tens; a gateway for
/// other devices may list 4096, and a hostile one too, whose observations would then take a
/// megabyte. 256 of them are some 64 KB, and at 100 ms each a new Register is done with in half a
/// minute.
pub(super) const AUTOMATIC_MAX: usize = 256;

/// What profile 5 leaves out of "everything": objects that serve the device's own management.
const EXCLUDED: [u16; 9] = [0, 1, 2, 4, 5, 6, 7, 9, 15];

/// What is chosen for a device.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// In the order in which they are to be observed, each once.
    pub(super) paths: Vec<Path>,
    /// Whether there were more than [`AUTOMATIC_MAX`].
    pub(super) cut: bool,
}

/// Chooses from what the device registered.
pub(super) fn choose(
    auto_observe: &AutoObserve,
    profile: Profile,
    links: &ObjectLinks,
    models: ModelView<'_>,
) -> Chosen {
    let registered = || links.object_list();
    let is_defined = |path: &Path| path.object_id().is_some_and(|id| models.object(id).is_some());
    let is_excluded = |path: &Path| path.object_id().is_some_and(|id| EXCLUDED.contains(&id));
    match (auto_observe, profile) {
        (AutoObserve::Off, _) => Chosen::default(),
        (AutoObserve::Registered, Profile::Emqx4) => {
            collect(paths(registered(), links).map(first_record))
        }
        (AutoObserve::Registered, Profile::Emqx5) => {
            let paths = paths(registered(), links);
            collect(paths.filter(|path| !is_excluded(path)).filter(is_defined))
        }
        (AutoObserve::Listed(list), Profile::Emqx4) => {
            let listed = registered().filter(|link| list.iter().any(|entry| entry == link));
            collect(paths(listed, links).map(first_record))
        }
        (AutoObserve::Listed(list), Profile::Emqx5) => {
            let entries = list.iter().map(String::as_str);
            let registered = entries.filter(|entry| registered().any(|link| link == *entry));
            collect(paths(registered, links).filter(is_defined))
        }
    }
}

/// The links that are paths of the device: those outside of its root are published, but nothing is
/// asked there.
fn paths<'a>(
    links: impl Iterator<Item = &'a str>,
    all: &ObjectLinks,
) -> impl Iterator<Item = Path> {
    links.filter_map(|link| Path::parse(link).ok()).filter(|path| is_inside(path, all))
}

fn is_inside(path: &Path, links: &ObjectLinks) -> bool {
    let Some(object) = path.object_id() else { return false };
    match path.len() {
        1 => links.has_object(object),
        _ => links.instances_of(object).contains(&path.truncated(2)),
    }
}

/// Of object 19 (binary application data) EMQX 4.x observes the data of the first instance, not the
/// instance.
fn first_record(path: Path) -> Path {
    if path.ids() == [19, 0] { path.child(0).unwrap_or(path) } else { path }
}

fn collect(paths: impl Iterator<Item = Path>) -> Chosen {
    let mut chosen = Chosen::default();
    for path in paths {
        if chosen.paths.len() >= AUTOMATIC_MAX {
            chosen.cut = true;
            break;
        }
        if !chosen.paths.contains(&path) {
            chosen.paths.push(path);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::LazyLock;

    use lwm2m::model::Models;

    use super::*;

    static MODELS: LazyLock<Models> = LazyLock::new(Models::builtin);

    fn chosen(auto_observe: &AutoObserve, profile: Profile, payload: &str) -> String {
        let links = ObjectLinks::parse(payload.as_bytes()).unwrap().unwrap();
        let models = ModelView::new(&MODELS, links.objects());
        let chosen = choose(auto_observe, profile, &links, models);
        assert!(!chosen.cut);
        chosen.paths.iter().map(|path| path.to_string()).collect::<Vec<_>>().join(" ")
    }

    const ALL: &str = "</3303/1>,</3>,</1/0>,</2>,</5/0>,</3/0>,</19/0>,</19/1>,</32000/0>,</3/0>";

    #[test]
    fn everything_is_every_registered_path_in_order_in_profile_4() {
        let paths = chosen(&AutoObserve::Registered, Profile::Emqx4, ALL);
        assert_eq!(paths, "/3303/1 /3 /1/0 /2 /5/0 /3/0 /19/0/0 /19/1 /32000/0");
    }

    #[test]
    fn everything_leaves_management_and_the_undefined_out_in_profile_5() {
        let all = format!("{ALL},</0/0>,</4/0>,</6/0>,</7/0>,</9/0>,</15/0>");
        let paths = chosen(&AutoObserve::Registered, Profile::Emqx5, &all);
        assert_eq!(paths, "/3303/1 /3 /3/0 /19/0 /19/1");
    }

    #[test]
    fn a_list_is_compared_as_text_in_the_order_of_the_profile() {
        let list = ["/5/0", "/32000/0", "/3303/1", "/3/0/9", "/2", "3/0", "/1"];
        let list = AutoObserve::Listed(list.map(str::to_owned).into());
        assert_eq!(chosen(&list, Profile::Emqx4, ALL), "/3303/1 /2 /5/0 /32000/0");
        assert_eq!(chosen(&list, Profile::Emqx5, ALL), "/5/0 /3303/1 /2");
    }

    #[test]
    fn nothing_is_asked_outside_of_the_root() {
        let payload = r#"</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>,</3303/0>,</foreign>,</lwm2m/6>"#;
        assert_eq!(chosen(&AutoObserve::Registered, Profile::Emqx4, payload), "/3/0 /6");
    }

    #[test]
    fn no_device_has_more_than_256_observed_by_itself() {
        let payload = (0..300).fold(String::new(), |mut payload, instance| {
            let _ = write!(payload, "</3303/{instance}>,");
            payload
        });
        let links = ObjectLinks::parse(payload.as_bytes()).unwrap().unwrap();
        let models = ModelView::new(&MODELS, links.objects());
        for profile in [Profile::Emqx4, Profile::Emqx5] {
            let chosen = choose(&AutoObserve::Registered, profile, &links, models);
            assert_eq!((chosen.paths.len(), chosen.cut), (AUTOMATIC_MAX, true));
        }
    }
}
