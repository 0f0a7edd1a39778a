use super::*;
use crate::topic::TemplateError;
use crate::{Profile, Topics};

fn with_topics(change: impl FnOnce(&mut Topics)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings.topics);
    settings
}

fn error(settings: Settings) -> SettingsError {
    Contract::new(settings).expect_err("refused settings")
}

#[test]
fn the_defaults_are_those_of_the_form_this_product_replaces() {
    let contract = Contract::new(Settings::default()).unwrap();
    assert_eq!(contract.command_filters(), ["lwm2m/+/dn/#"]);
    let place = Place { mount: 0, endpoint: "EP", address: Address::Asked(None) };
    let topic = |channel| contract.publication(channel, place, b"{}").map(|message| message.topic);
    let cases = [
        (Channel::Response, Some("lwm2m/EP/up/resp")),
        (Channel::Notify, Some("lwm2m/EP/up/notify")),
        (Channel::Register, Some("lwm2m/EP/up/resp")),
        (Channel::Update, Some("lwm2m/EP/up/resp")),
        // EMQX 5 has the double slash too.
        (Channel::Firmware, Some("lwm2m/EP//v1/up/dm")),
        (Channel::Lifecycle(Lifecycle::Expired), None),
    ];
    for (channel, expected) in cases {
        assert_eq!(topic(channel).as_deref(), expected, "{channel:?}");
    }
}

#[test]
fn topic_and_mountpoint_are_joined_as_they_are() {
    let mut settings = with_topics(|topics| topics.command.topic = "/dn/#".to_owned());
    settings.mountpoint = "site-%e".to_owned();
    let contract = Contract::new(settings).unwrap();
    assert_eq!(contract.command_filters(), ["+/dn/#"]);
    assert_eq!(contract.exact_filter(0, &EndpointName::parse("a/b").unwrap()), "site-a/b/dn/#");
    let place = Place { mount: 0, endpoint: "EP", address: Address::Asked(None) };
    let message = contract.publication(Channel::Response, place, b"{}").unwrap();
    assert_eq!(message.topic, "site-EPup/resp");
}

#[test]
fn a_listener_has_a_mountpoint_of_its_own() {
    let mut settings = Settings::default();
    settings.listener_mountpoints.insert(7, "site/%e/".to_owned());
    let contract = Contract::new(settings).unwrap();
    assert_eq!(contract.command_filters(), ["lwm2m/+/dn/#", "site/+/dn/#"]);
    assert_eq!((contract.mount_of(0), contract.mount_of(7)), (0, 8));
    let place =
        Place { mount: contract.mount_of(7), endpoint: "EP", address: Address::Asked(None) };
    let message = contract.publication(Channel::Response, place, b"{}").unwrap();
    assert_eq!(message.topic, "site/EP/up/resp");
    let [addressee] = &contract.addressees("site/EP/dn/dm")[..] else { panic!("one addressee") };
    assert_eq!((addressee.mount, addressee.named.endpoint.as_str()), (8, "EP"));
}

#[test]
fn each_topic_may_set_its_quality_of_service_and_retention() {
    let mut settings = with_topics(|topics| {
        topics.notify.qos = Some(Qos::ExactlyOnce);
        topics.notify.retain = true;
        topics.command.qos = Some(Qos::AtMostOnce);
    });
    settings.qos = Qos::AtLeastOnce;
    let contract = Contract::new(settings).unwrap();
    let place = Place { mount: 0, endpoint: "EP", address: Address::Asked(None) };
    let delivery = |channel| {
        let message = contract.publication(channel, place, b"{}").unwrap();
        (message.qos, message.retain)
    };
    assert_eq!(delivery(Channel::Response), (Qos::AtLeastOnce, false));
    assert_eq!(delivery(Channel::Notify), (Qos::ExactlyOnce, true));
    assert_eq!(delivery(Channel::Firmware), (Qos::AtMostOnce, false));
    assert_eq!(contract.command_qos(), Some(Qos::AtMostOnce));
}

#[test]
fn a_command_topic_without_the_endpoint_name_is_refused() {
    let settings = Settings { mountpoint: "lwm2m/".to_owned(), ..Settings::default() };
    let error = error(settings);
    assert_eq!(error, SettingsError::NoEndpoint { topic: "lwm2m/dn/#".to_owned() });
    assert!(error.to_string().contains("%e"), "{error}");
}

#[test]
fn an_uplink_topic_that_matches_the_command_filter_is_refused() {
    type Change = fn(&mut Topics);
    let cases: [(Change, &str); 4] = [
        (|topics| topics.response.topic = "dn/resp".to_owned(), "topics.response"),
        (|topics| topics.notify.topic = "dn".to_owned(), "topics.notify"),
        (|topics| topics.command.topic = "#".to_owned(), "topics.response"),
        (|topics| topics.lifecycle = crate::LifecycleTopics::all("dn/life"), "topics.lifecycle"),
    ];
    for (change, expected) in cases {
        match error(with_topics(change)) {
            SettingsError::Loop { key, .. } => assert_eq!(key, expected),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_mountpoint_that_makes_another_ones_topics_commands_is_refused() {
    let mut settings = Settings::default();
    settings.listener_mountpoints.insert(1, "lwm2m/%e/dn/%e/".to_owned());
    assert!(matches!(error(settings), SettingsError::Loop { .. }));
}

#[test]
fn wildcards_in_uplink_topics_are_refused_with_the_key() {
    let error = error(with_topics(|topics| topics.update.topic = "up/+".to_owned()));
    let expected = SettingsError::Template {
        key: "topics.update".to_owned(),
        topic: "lwm2m/%e/up/+".to_owned(),
        error: TemplateError::Wildcard,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_payload_limit_below_any_command_is_refused() {
    let settings = Settings { command_payload_max: 1, ..Settings::default() };
    assert_eq!(error(settings), SettingsError::PayloadMax(1));
}

#[test]
fn the_profile_decides_which_updates_are_published_unless_it_is_set() {
    use crate::UpdateCondition::{Always, ContainsObjectList};
    assert_eq!(Settings::of(Profile::Emqx4).update_condition(), ContainsObjectList);
    assert_eq!(Settings::of(Profile::Emqx5).update_condition(), Always);
    let settings =
        Settings { update_msg_publish_condition: Some(Always), ..Settings::of(Profile::Emqx4) };
    assert_eq!(settings.update_condition(), Always);
}

#[test]
fn a_topic_is_a_command_topic_by_filter_or_by_name() {
    let contract = Contract::new(Settings::default()).unwrap();
    for topic in ["lwm2m/x/dn", "lwm2m/x/dn/y", "lwm2m/a/b/dn/y"] {
        assert!(contract.is_command_topic(topic), "{topic}");
    }
    for topic in ["lwm2m/x/up/resp", "answers/1", "lwm2m/x/dnx"] {
        assert!(!contract.is_command_topic(topic), "{topic}");
    }
}

#[test]
fn a_filter_that_matches_an_uplink_of_some_device_names_it() {
    let mut settings = Settings::default();
    settings.listener_mountpoints.insert(7, "site/%e/".to_owned());
    let contract = Contract::new(settings).unwrap();
    for (filter, expected) in [
        ("group/#", None),
        ("lwm2m/EP/cmd", None),
        ("lwm2m/+/dn/#", None),
        ("lwm2m/EP/up", None),
        ("#", Some("lwm2m/%e/up/resp")),
        ("lwm2m/EP/up/resp", Some("lwm2m/%e/up/resp")),
        ("lwm2m/EP/#", Some("lwm2m/%e/up/resp")),
        ("lwm2m/other/+/notify", Some("lwm2m/%e/up/notify")),
        ("site/+/up/resp", Some("site/%e/up/resp")),
        ("lwm2m/EP//v1/#", Some("lwm2m/%e//v1/up/dm")),
    ] {
        assert_eq!(contract.uplink_within(filter), Ok(expected.map(str::to_owned)), "{filter}");
    }
    for (filter, error) in [
        ("$share/group/commands", TemplateError::Reserved),
        ("a/#/b", TemplateError::MisplacedWildcard),
        ("a/b#", TemplateError::MisplacedWildcard),
        ("a\u{7}", TemplateError::Control),
    ] {
        assert_eq!(contract.uplink_within(filter), Err(error), "{filter}");
    }
}
