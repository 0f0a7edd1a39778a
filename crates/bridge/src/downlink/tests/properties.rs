//! Whatever JSON comes: no panic, and nothing of it is lost.

use proptest::prelude::*;
use serde_json::{Map, Value as Tree};

use super::*;
use crate::testing::code;

fn json() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<u64>().prop_map(Tree::from),
        any::<f64>().prop_map(Tree::from),
        ".{0,8}".prop_map(Tree::from),
        "/?[0-9]{1,5}(/[0-9]{1,5}){0,4}/?".prop_map(Tree::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::from),
            prop::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

fn members(names: &'static [&'static str]) -> impl Strategy<Value = Map<String, Tree>> {
    let one = (prop::sample::select(names), json());
    prop::collection::vec(one, 0..6)
        .prop_map(|all| all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

const DATA: &[&str] = &[
    "path", "basePath", "content", "type", "value", "args", "pmin", "gt", "timeout", "ttl",
    "accept", "format", "mode", "paths",
];
const TOP: &[&str] = &["reqID", "seqNum", "encoding", "mheaders", "x", "ключ", "a\"b"];
const MESSAGES: &[&str] = &[
    "read",
    "discover",
    "write",
    "write-attr",
    "execute",
    "create",
    "delete",
    "observe",
    "cancel-observe",
    "read-composite",
    "write-composite",
    "nonsense",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_command_ends_in_a_command_a_report_or_silence(
        message in prop::sample::select(MESSAGES),
        top in members(TOP),
        data in members(DATA),
        five in any::<bool>(),
    ) {
        let bench = Bench::new(if five { Emqx5 } else { Emqx4 });
        let mut whole = top;
        whole.insert("msgType".to_owned(), message.into());
        whole.insert("data".to_owned(), Tree::Object(data));
        let payload = Tree::Object(whole).to_string();
        match bench.downlink(&payload) {
            Downlink::Command(_) => {}
            Downlink::Refused { publications, .. } => {
                let report: Tree = serde_json::from_slice(&publications[0].payload).unwrap();
                prop_assert_eq!(&report["data"]["code"], "4.00");
            }
            Downlink::Dropped(fault) => prop_assert!(false, "{} {}", payload, fault),
        }
    }

    #[test]
    fn any_member_comes_back_as_it_came(top in members(TOP), observed in any::<bool>()) {
        let mut bench = Bench::new(Emqx4);
        let message = if observed { "cancel-observe" } else { "read" };
        let mut whole = top.clone();
        whole.insert("msgType".to_owned(), message.into());
        let payload = Tree::Object(whole).to_string();
        let open = &payload[..payload.len() - 1];
        let payload = format!("{open},\"data\":{{\"path\":\"/3/0/0\"}}}}");
        let mut answer: Tree = serde_json::from_str(&bench.answer(&payload, &code(4, 4))).unwrap();
        let answer = answer.as_object_mut().unwrap();
        answer.remove("msgType");
        answer.remove("data");
        prop_assert_eq!(answer, &top);
    }

    #[test]
    fn any_bytes_are_survived(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let bench = Bench::new(Emqx5);
        let delivery = Delivery::new("lwm2m/EP/dn/dm", &payload);
        let _ = bench.deliver(&delivery);
    }

    #[test]
    fn any_mutation_of_a_command_is_survived(at in 0_usize..300, byte in any::<u8>()) {
        let mut payload = br#"{"reqID":1,"encoding":"hex","msgType":"write","data":{"basePath":"/3/0/",
            "content":[{"path":"13","type":"Integer","value":"3132"},{"path":"6/1","type":"Time",
            "value":"31"}],"timeout":5,"mode":"update"}}"#.to_vec();
        let at = at % payload.len();
        payload[at] = byte;
        let _ = Bench::new(Emqx5).deliver(&Delivery::new("lwm2m/EP/dn/dm", &payload));
    }

    #[test]
    fn any_topic_is_survived(topic in "[a/+#%$ü0:]{0,40}", template in "(%e|%a|a|/|\\+/){1,6}") {
        let settings = Settings { mountpoint: format!("{template}%e/"), ..Settings::default() };
        if let Ok(bridge) = Bridge::new(settings) {
            for name in bridge.endpoints(&topic) {
                prop_assert!(topic.contains(name.as_str()));
            }
        }
    }
}
