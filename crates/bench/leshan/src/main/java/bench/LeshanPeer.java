package bench;

import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.UdpConfig;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.model.StaticModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;

import com.hivemq.client.mqtt.MqttClientExecutorConfig;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt5.Mqtt5AsyncClient;
import com.hivemq.client.mqtt.mqtt5.Mqtt5Client;

/**
 * What a team builds that needs LwM2M over MQTT and begins with Eclipse Leshan: its server library, a
 * listener for registrations and observations, and an MQTT client that publishes what they hear.
 *
 * Arguments: CoAP port, MQTT port, the longest wait for an answer in milliseconds. Devices whose name
 * begins with "obs-" are observed when they register. It prints "ready" when it serves, and ends with
 * its standard input.
 */
public final class LeshanPeer {
    private static final String PATH = "/3303/0/5700";

    private final Mqtt5AsyncClient mqtt;
    private final long timeout;
    private LeshanServer server;

    private LeshanPeer(Mqtt5AsyncClient mqtt, long timeout) {
        this.mqtt = mqtt;
        this.timeout = timeout;
    }

    public static void main(String[] args) throws Exception {
        int coapPort = Integer.parseInt(args[0]);
        int mqttPort = Integer.parseInt(args[1]);
        Mqtt5AsyncClient mqtt = Mqtt5Client.builder()
                .identifier("leshan-peer")
                .serverHost("127.0.0.1").serverPort(mqttPort)
                .executorConfig(MqttClientExecutorConfig.builder().nettyThreads(1).build())
                .buildAsync();
        mqtt.connect().get();
        LeshanPeer peer = new LeshanPeer(mqtt, Long.parseLong(args[2]));
        peer.start(coapPort);
        System.out.println("ready");
        while (System.in.read() >= 0) {
            // Whoever started this process holds its input open.
        }
        System.exit(0);
    }

    private void start(int port) throws Exception {
        CaliforniumServerEndpointsProvider endpoints =
                new CaliforniumServerEndpointsProvider.Builder(new CoapServerProtocolProvider())
                        .setConfiguration((Configuration c) -> configure(c))
                        .addEndpoint(new InetSocketAddress("127.0.0.1", port), Protocol.COAP)
                        .build();
        LeshanServerBuilder builder = new LeshanServerBuilder();
        builder.setEndpointsProviders(endpoints);
        builder.setObjectModelProvider(new StaticModelProvider(models()));
        server = builder.build();
        server.getRegistrationService().addListener(new Registrations());
        server.getObservationService().addListener(new Observations());
        server.start();
    }

    /** As fits one processor and a fleet of a million; everything else as Leshan has it. */
    private static void configure(Configuration c) {
        c.set(UdpConfig.UDP_RECEIVER_THREAD_COUNT, 1);
        c.set(UdpConfig.UDP_SENDER_THREAD_COUNT, 1);
        c.set(UdpConfig.UDP_RECEIVE_BUFFER_SIZE, 4 * 1024 * 1024);
        c.set(UdpConfig.UDP_SEND_BUFFER_SIZE, 4 * 1024 * 1024);
        c.set(CoapConfig.PROTOCOL_STAGE_THREAD_COUNT, 1);
        c.set(CoapConfig.MAX_ACTIVE_PEERS, 2_000_000);
        // The default keeps every message for 247 s, some 3 KB each: gigabytes at these rates.
        c.set(CoapConfig.DEDUPLICATOR, CoapConfig.DEDUPLICATOR_PEERS_MARK_AND_SWEEP);
    }

    private static List<ObjectModel> models() throws Exception {
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault());
        try (InputStream input = LeshanPeer.class.getResourceAsStream("/models/temperature.xml")) {
            models.addAll(ObjectLoader.loadDdfFile(input, "temperature.xml"));
        }
        return models;
    }

    private void publish(String endpoint, String what, CharSequence json) {
        mqtt.publishWith()
                .topic("lwm2m/" + endpoint + "/up/" + what)
                .qos(MqttQos.AT_MOST_ONCE)
                .payload(json.toString().getBytes(StandardCharsets.UTF_8))
                .send();
    }

    private final class Registrations implements RegistrationListener {
        @Override
        public void registered(Registration registration, Registration previous, Collection<Observation> before) {
            publish(registration.getEndpoint(), "register", json("register", registration));
            if (registration.getEndpoint().startsWith("obs-")) {
                server.send(registration, new ObserveRequest(PATH), timeout,
                        response -> publish(registration.getEndpoint(), "resp",
                                "{\"msgType\":\"observe\",\"code\":\"" + response.getCode() + "\"}"),
                        error -> publish(registration.getEndpoint(), "resp", "{\"msgType\":\"observe\"}"));
            }
        }

        @Override
        public void updated(RegistrationUpdate update, Registration registration, Registration previous) {
            publish(registration.getEndpoint(), "update", json("update", registration));
        }

        @Override
        public void unregistered(Registration registration, Collection<Observation> observations, boolean expired,
                Registration next) {
            publish(registration.getEndpoint(), "lifecycle", "{\"msgType\":\"deregistered\"}");
        }

        private CharSequence json(String type, Registration registration) {
            StringBuilder json = new StringBuilder(256);
            json.append("{\"msgType\":\"").append(type).append("\",\"data\":{\"ep\":\"")
                    .append(registration.getEndpoint()).append("\",\"lt\":").append(registration.getLifeTimeInSec())
                    .append(",\"lwm2m\":\"").append(registration.getLwM2mVersion())
                    .append("\",\"alternatePath\":\"").append(registration.getRootPath()).append("\",\"objectList\":[");
            String comma = "\"";
            for (var path : registration.getAvailableInstances()) {
                json.append(comma).append(path).append('"');
                comma = ",\"";
            }
            return json.append("]}}");
        }
    }

    private final class Observations implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration registration) {
        }

        @Override
        public void cancelled(Observation observation) {
        }

        @Override
        public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
            StringBuilder json = new StringBuilder(192);
            json.append("{\"msgType\":\"notify\",\"data\":{\"reqPath\":\"").append(observation.getPath())
                    .append("\",\"code\":\"2.05\",\"codeMsg\":\"content\",\"content\":[{\"path\":\"")
                    .append(observation.getPath()).append("\",\"value\":");
            if (response.getContent() instanceof LwM2mSingleResource resource) {
                json.append(plain(resource.getValue()));
            }
            publish(registration.getEndpoint(), "notify", json.append("}]}}"));
        }

        /** Java writes large numbers with an exponent, which the subscriber does not read. */
        private Object plain(Object value) {
            if (value instanceof Double number && number >= 1e7) {
                long micros = Math.round(number * 1e6);
                String fraction = Long.toString(1_000_000 + micros % 1_000_000);
                return micros / 1_000_000 + "." + fraction.substring(1);
            }
            return value;
        }

        @Override
        public void onResponse(CompositeObservation observation, Registration registration,
                ObserveCompositeResponse response) {
        }

        @Override
        public void onError(Observation observation, Registration registration, Exception error) {
            publish(registration.getEndpoint(), "resp", "{\"msgType\":\"notify\"}");
        }
    }
}
