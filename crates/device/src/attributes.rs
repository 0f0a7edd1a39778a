//! Attributes that a server writes and that decide when a notification leaves: OMA Core 5.1.2.
//!
//! Parsing, inheritance and the order in which Discover shows them. Deciding by them is the job of
//! [`crate::observe`].

use core::fmt::Write;

use lwm2m::Path;

/// The attributes that stand at one path; `None`: not set there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Attributes {
    /// Least seconds between two notifications.
    pub(crate) pmin: Option<u32>,
    /// Most seconds between two notifications.
    pub(crate) pmax: Option<u32>,
    /// Notify when the value crosses this one, from either side.
    pub(crate) gt: Option<f64>,
    /// The same; the two are the ends of a band.
    pub(crate) lt: Option<f64>,
    /// Notify when the value differs by at least this much from the last one told.
    pub(crate) st: Option<f64>,
    /// Least seconds between two evaluations.
    pub(crate) epmin: Option<u32>,
    /// Most seconds between two evaluations.
    pub(crate) epmax: Option<u32>,
}

/// A query that is no attribute, has no value of its type, or contradicts another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid;

impl Attributes {
    /// These attributes after a Write-Attributes with the given queries: a value sets, no value
    /// unsets, what is not named stays.
    pub(crate) fn merged<'a>(
        mut self,
        queries: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, Invalid> {
        for query in queries {
            let query = core::str::from_utf8(query).map_err(|_| Invalid)?;
            let (name, value) = query.split_once('=').unwrap_or((query, ""));
            match name {
                "pmin" => self.pmin = seconds(value)?,
                "pmax" => self.pmax = seconds(value)?,
                "epmin" => self.epmin = seconds(value)?,
                "epmax" => self.epmax = seconds(value)?,
                "gt" => self.gt = number(value)?,
                "lt" => self.lt = number(value)?,
                "st" => self.st = number(value)?,
                _ => return Err(Invalid),
            }
        }
        if self.is_consistent() { Ok(self) } else { Err(Invalid) }
    }

    /// Whether a step or a threshold is set, which only a number can have.
    pub(crate) const fn has_thresholds(&self) -> bool {
        self.gt.is_some() || self.lt.is_some() || self.st.is_some()
    }

    /// What is set here, else what is set above.
    pub(crate) fn or(self, above: Self) -> Self {
        Self {
            pmin: self.pmin.or(above.pmin),
            pmax: self.pmax.or(above.pmax),
            gt: self.gt.or(above.gt),
            lt: self.lt.or(above.lt),
            st: self.st.or(above.st),
            epmin: self.epmin.or(above.epmin),
            epmax: self.epmax.or(above.epmax),
        }
    }

    /// Appends them as link attributes, `;pmin=10;pmax=60`.
    pub(crate) fn write_link(&self, link: &mut String) {
        let seconds = [
            ("pmin", self.pmin),
            ("pmax", self.pmax),
            ("epmin", self.epmin),
            ("epmax", self.epmax),
        ];
        let numbers = [("gt", self.gt), ("lt", self.lt), ("st", self.st)];
        for (name, value) in seconds {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = write!(link, ";{name}={value}");
            }
        }
        for (name, value) in numbers {
            if let Some(value) = value {
                let _ = write!(link, ";{name}={value}");
            }
        }
    }

    /// `lt` below `gt`, and the step small enough to fit between them.
    fn is_consistent(&self) -> bool {
        match (self.lt, self.gt) {
            (Some(lt), Some(gt)) => lt + 2.0 * self.st.unwrap_or(0.0) < gt,
            _ => self.st.is_none_or(|step| step >= 0.0),
        }
    }
}

/// The attributes of one device: few, so a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttributeTable(Vec<(Path, Attributes)>);

impl AttributeTable {
    /// What stands at the path itself.
    pub(crate) fn at(&self, path: &Path) -> Attributes {
        self.0.iter().find(|(at, _)| at == path).map_or_else(Attributes::default, |entry| entry.1)
    }

    /// What holds for the path: its own attributes and those of the paths above it.
    pub(crate) fn effective(&self, path: &Path) -> Attributes {
        let mut attributes = self.at(path);
        let mut above = path.parent();
        while let Some(path) = above {
            attributes = attributes.or(self.at(&path));
            above = path.parent();
        }
        attributes
    }

    pub(crate) fn set(&mut self, path: Path, attributes: Attributes) {
        self.0.retain(|(at, _)| *at != path);
        if attributes != Attributes::default() {
            self.0.push((path, attributes));
        }
    }

    /// Forgets what stands at or below a path that was deleted.
    pub(crate) fn remove(&mut self, prefix: &Path) {
        self.0.retain(|(at, _)| !at.starts_with(prefix));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

fn seconds(text: &str) -> Result<Option<u32>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Invalid)
}

fn number(text: &str) -> Result<Option<f64>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Some).ok_or(Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(before: Attributes, queries: &[&str]) -> Result<Attributes, Invalid> {
        before.merged(queries.iter().map(|query| query.as_bytes()))
    }

    fn shown(attributes: &Attributes) -> String {
        let mut link = String::new();
        attributes.write_link(&mut link);
        link
    }

    /// Fact 71: `lt` < `gt`, `lt + 2*st` < `gt`, a parameter without a value unsets.
    #[test]
    fn attributes_are_set_unset_and_checked() {
        let none = Attributes::default();
        let both = merged(none, &["pmin=10", "pmax=60"]).unwrap();
        assert_eq!(shown(&both), ";pmin=10;pmax=60");
        assert_eq!(shown(&merged(both, &["pmin"]).unwrap()), ";pmax=60");
        assert_eq!(shown(&merged(both, &["pmax=", "gt=30.5"]).unwrap()), ";pmin=10;gt=30.5");
        for wrong in [
            &["pmin=x"][..],
            &["pmin=-1"],
            &["gt=1e400"],
            &["gt=NaN"],
            &["lt=5", "gt=5"],
            &["lt=5", "gt=10", "st=2.5"],
            &["con=1"],
            &["\u{7f}"],
        ] {
            assert_eq!(merged(none, wrong), Err(Invalid), "{wrong:?}");
        }
    }

    #[test]
    fn the_nearest_path_wins_and_the_rest_is_inherited() {
        let path = |text| Path::parse(text).unwrap();
        let mut table = AttributeTable::default();
        table.set(path("/3"), merged(Attributes::default(), &["pmin=1", "pmax=9"]).unwrap());
        table.set(path("/3/0/9"), merged(Attributes::default(), &["pmin=5"]).unwrap());
        let effective = table.effective(&path("/3/0/9"));
        assert_eq!((effective.pmin, effective.pmax), (Some(5), Some(9)));
        assert_eq!(table.effective(&path("/4/0/1")), Attributes::default());
        table.remove(&path("/3"));
        assert_eq!(table.effective(&path("/3/0/9")), Attributes::default());
    }
}
