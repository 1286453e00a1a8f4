"""What Home Assistant takes of discovery, and what it makes of the messages that follow: rules of ours after its sources, so
that a message that it would reject is found without it.

Facts from home-assistant/core: components/mqtt/schemas.py, discovery.py, sensor.py, binary_sensor.py, number.py, select.py,
switch.py; components/sensor/const.py (device classes, their units and state classes), of which only what its versions
since the device form (late 2024) agree on stands here.
"""

import json
import re

import jinja2
import jinja2.sandbox

PRESSURE = {"Pa", "hPa", "kPa", "mbar", "cbar", "bar", "psi", "inHg", "mmHg"}
LENGTH = {"mm", "cm", "m", "km", "in", "ft", "yd", "mi"}
VOLUME = {"m³", "L", "mL", "ft³", "CCF", "gal"}
ENERGY = {"Wh", "kWh", "MWh", "GWh", "J", "kJ", "MJ", "GJ", "cal", "kcal", "Mcal", "Gcal"}
NONE = {None}
MEASUREMENT, TOTALS = {"measurement"}, {"total", "total_increasing"}
ANY = MEASUREMENT | TOTALS
# class: (units, state classes)
CLASSES = {
    "temperature": ({"°C", "°F", "K"}, MEASUREMENT), "humidity": ({"%"}, MEASUREMENT), "moisture": ({"%"}, MEASUREMENT),
    "battery": ({"%"}, MEASUREMENT), "atmospheric_pressure": (PRESSURE, MEASUREMENT), "pressure": (PRESSURE, MEASUREMENT),
    "power": ({"mW", "W", "kW", "MW", "GW"}, MEASUREMENT), "apparent_power": ({"VA"}, MEASUREMENT),
    "reactive_power": ({"var"}, MEASUREMENT), "power_factor": ({"%", None}, MEASUREMENT),
    "voltage": ({"mV", "V", "kV"}, MEASUREMENT), "current": ({"A", "mA"}, MEASUREMENT),
    "frequency": ({"Hz", "kHz", "MHz", "GHz"}, MEASUREMENT), "energy": (ENERGY, TOTALS),
    "water": ({"m³", "L", "ft³", "CCF", "gal"}, TOTALS), "gas": ({"m³", "ft³", "CCF"}, TOTALS), "volume": (VOLUME, TOTALS),
    "volume_flow_rate": ({"m³/h", "L/min", "ft³/min", "gal/min"}, MEASUREMENT), "carbon_dioxide": ({"ppm"}, MEASUREMENT),
    "carbon_monoxide": ({"ppm"}, MEASUREMENT), "pm1": ({"µg/m³"}, MEASUREMENT), "pm25": ({"µg/m³"}, MEASUREMENT),
    "pm10": ({"µg/m³"}, MEASUREMENT), "volatile_organic_compounds": ({"µg/m³"}, MEASUREMENT),
    "volatile_organic_compounds_parts": ({"ppm", "ppb"}, MEASUREMENT), "illuminance": ({"lx"}, MEASUREMENT),
    "irradiance": ({"W/m²"}, MEASUREMENT), "conductivity": ({"µS/cm", "mS/cm", "S/cm"}, MEASUREMENT),
    "ph": (NONE, MEASUREMENT), "aqi": (NONE, MEASUREMENT), "distance": (LENGTH, ANY), "precipitation": ({"mm", "cm", "in"}, ANY),
    "precipitation_intensity": ({"mm/h", "mm/d"}, MEASUREMENT), "speed": ({"m/s", "km/h"}, MEASUREMENT),
    "wind_speed": ({"m/s", "km/h"}, MEASUREMENT), "duration": ({"ms", "s", "min", "h", "d"}, ANY),
    "signal_strength": ({"dB", "dBm"}, MEASUREMENT), "sound_pressure": ({"dB", "dBA"}, MEASUREMENT),
    "weight": ({"mg", "g", "kg"}, ANY),
}
BINARY_CLASSES = {"connectivity", "problem", "running", "power", "opening"}
PLATFORMS = {"sensor", "binary_sensor", "number", "switch", "select"}  # those that a gateway can have

ROOT = {"device", "origin", "components", "availability", "availability_mode", "availability_topic", "availability_template",
        "payload_available", "payload_not_available", "state_topic", "command_topic", "qos", "encoding"}
DEVICE = {"identifiers", "connections", "name", "manufacturer", "model", "hw_version", "sw_version", "serial_number",
          "suggested_area", "via_device", "configuration_url"}
ENTITY = {"platform", "unique_id", "default_entity_id", "name", "state_topic", "value_template", "device_class",
          "entity_category"}
KEYS = {"sensor": {"unit_of_measurement", "state_class", "suggested_display_precision", "expire_after", "options"},
        "binary_sensor": {"payload_on", "payload_off", "expire_after"},
        "number": {"command_topic", "min", "max", "step", "unit_of_measurement"},
        "switch": {"command_topic", "payload_on", "payload_off"},
        "select": {"command_topic", "options"}}
TEMPLATES = jinja2.sandbox.SandboxedEnvironment()


def is_text(value):
    return isinstance(value, str) and value != ""


def topic_fault(topic):
    if not is_text(topic) or "+" in topic or "#" in topic or "\0" in topic or len(topic.encode()) > 65535:
        return "no topic: %r" % (topic,)
    return None


class Validator:
    """Takes discovery messages one after the other; `rejects` says what would not be taken, and why."""

    def __init__(self, prefix="homeassistant"):
        self.prefix, self.rejects, self.n_entities = prefix, [], 0
        self.of = {}  # unique ids: (topic, component) by (platform, unique id)

    def reject(self, where, why):
        self.rejects.append("%s: %s" % (where, why))

    def take(self, topic, payload):
        before = len(self.rejects)
        if not re.fullmatch(re.escape(self.prefix) + r"/device/[a-zA-Z0-9_-]+/config", topic):
            self.reject(topic, "illegal discovery topic")
        try:
            message = json.loads(payload)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.reject(topic, "no JSON object")
            return False
        for key in message.keys() - ROOT:
            self.reject(topic, "extra key %s" % key)
        self.device(topic, message.get("device"))
        origin = message.get("origin")
        if not isinstance(origin, dict) or not is_text(origin.get("name")) or origin.keys() - {"name", "sw_version", "support_url"}:
            self.reject(topic, "origin without a name, or more than it may have")
        self.availability(topic, message)
        if message.get("qos", 0) not in (0, 1, 2):
            self.reject(topic, "qos")
        components = message.get("components")
        if not isinstance(components, dict) or not components:
            self.reject(topic, "no components")
            components = {}
        for name, component in components.items():
            self.component(topic, name, component)
        return len(self.rejects) == before

    def device(self, topic, device):
        if not isinstance(device, dict):
            self.reject(topic, "no device")
            return
        for key in device.keys() - DEVICE:
            self.reject(topic, "extra key device.%s" % key)
        identifiers = device.get("identifiers", [])
        if not isinstance(identifiers, list) or not all(map(is_text, identifiers)) or not identifiers:
            self.reject(topic, "device without an identifier")
        for key in device.keys() - {"identifiers", "connections"}:
            if not isinstance(device[key], str):
                self.reject(topic, "device.%s is no text" % key)

    def availability(self, topic, message):
        if "availability" in message and "availability_topic" in message:
            self.reject(topic, "availability in both forms")
        for one in message.get("availability", []):
            if topic_fault(one.get("topic")) or one.keys() - {"topic", "payload_available", "payload_not_available"}:
                self.reject(topic, "availability %r" % one)
        if message.get("availability_mode", "latest") not in ("all", "any", "latest"):
            self.reject(topic, "availability_mode")

    def component(self, topic, name, component):
        where = "%s %s" % (topic, name)
        if not re.fullmatch("[a-zA-Z0-9_-]+", name):
            self.reject(where, "illegal component id")
        platform = component.get("platform") if isinstance(component, dict) else None
        if platform not in PLATFORMS:
            self.reject(where, "unsupported platform %r" % platform)
            return
        if component.keys() == {"platform"}:  # taken away
            return
        self.n_entities += 1
        for key in component.keys() - ENTITY - KEYS[platform]:
            self.reject(where, "key %s of no %s" % (key, platform))
        unique = component.get("unique_id")
        if not is_text(unique):
            self.reject(where, "no unique_id")
        elif self.of.setdefault((platform, unique), (topic, name)) != (topic, name):
            self.reject(where, "the unique_id %s is that of %s" % (unique, self.of[(platform, unique)]))
        entity_id = component.get("default_entity_id", platform + ".x")
        if not re.fullmatch(r"%s\.(?!_)(?!.*__)[a-z0-9_]+(?<!_)" % platform, entity_id) or len(entity_id) > 255:
            self.reject(where, "default_entity_id %r" % entity_id)
        if not is_text(component.get("name")):
            self.reject(where, "no name")
        for key in ("state_topic", "command_topic"):
            if (key in component or (key in KEYS[platform] or key in ENTITY)) and topic_fault(component.get(key)):
                self.reject(where, "%s: %s" % (key, topic_fault(component.get(key))))
        try:
            TEMPLATES.from_string(component.get("value_template", ""))
        except jinja2.TemplateError as error:
            self.reject(where, "template: %s" % error)
        expires = component.get("expire_after", 1)
        if not isinstance(expires, int) or isinstance(expires, bool) or expires < 1:
            self.reject(where, "expire_after %r" % (expires,))
        getattr(self, platform)(where, component)

    def unit(self, where, component):
        device_class, unit = component.get("device_class"), component.get("unit_of_measurement")
        if device_class is None:
            return
        if device_class not in CLASSES:
            self.reject(where, "device class %r" % device_class)
        elif unit not in CLASSES[device_class][0]:
            self.reject(where, "the unit %r is none of %s" % (unit, device_class))

    def options(self, where, options):
        if not isinstance(options, list) or not options or not all(map(is_text, options)) or len(set(options)) != len(options):
            self.reject(where, "options %r" % (options,))

    def sensor(self, where, component):
        state_class = component.get("state_class")
        if component.get("device_class") == "enum":
            self.options(where, component.get("options"))
            if state_class or "unit_of_measurement" in component:
                self.reject(where, "an enum with a unit or a state class")
            return
        if "options" in component:
            self.reject(where, "options of no enum")
        self.unit(where, component)
        allowed = CLASSES.get(component.get("device_class"), (None, ANY))[1]
        if state_class is not None and state_class not in allowed:
            self.reject(where, "the state class %r of %s" % (state_class, component.get("device_class")))
        precision = component.get("suggested_display_precision", 0)
        if not isinstance(precision, int) or precision < 0:
            self.reject(where, "suggested_display_precision %r" % (precision,))

    def binary_sensor(self, where, component):
        if component.get("device_class", "power") not in BINARY_CLASSES:
            self.reject(where, "device class %r" % component["device_class"])
        self.on_off(where, component)

    def on_off(self, where, component):
        on, off = component.get("payload_on"), component.get("payload_off")
        if not is_text(on) or not is_text(off) or on == off:
            self.reject(where, "payload_on %r, payload_off %r" % (on, off))

    def switch(self, where, component):
        self.on_off(where, component)

    def select(self, where, component):
        self.options(where, component.get("options"))

    def number(self, where, component):
        self.unit(where, component)
        limits = [component.get(key) for key in ("min", "max", "step")]
        if not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in limits):
            self.reject(where, "min, max, step are %r" % limits)
        elif limits[0] >= limits[1] or limits[2] < 0.001:
            self.reject(where, "min %r, max %r, step %r" % tuple(limits))


class Entity:
    def __init__(self, platform, config, availability):
        self.platform, self.config, self.availability = platform, config, availability
        self.value = None  # "unknown"
        self.history = []  # (value, payload) of each that was taken
        self.template = TEMPLATES.from_string(config.get("value_template", "{{ value }}"))


class HomeAssistant:
    """Plays a broker's messages in the order in which they came to entities.  `errors` is what it would have logged."""

    def __init__(self, prefix="homeassistant"):
        self.prefix, self.validator = prefix, Validator(prefix)
        self.entities, self.last, self.errors = {}, {}, []  # by default_entity_id, …

    def play(self, messages):
        """(topic, payload, …) as a Subscriber tells them."""
        for topic, payload, *_ in messages:
            self.last[topic] = payload
            if topic.startswith(self.prefix + "/device/"):
                self.discover(topic, payload)
                continue
            for entity in list(self.entities.values()):
                if entity.config["state_topic"] == topic:
                    self.state(entity, payload)
        return self

    def discover(self, topic, payload):
        of_topic = {name: e for name, e in self.entities.items() if e.topic == topic}
        if not payload:
            for name in of_topic:
                del self.entities[name]
            return
        if not self.validator.take(topic, payload):
            self.errors.append(self.validator.rejects[-1])
            return
        message = json.loads(payload)
        for component_id, config in message["components"].items():
            mine = [n for n, e in of_topic.items() if e.component == component_id and e.platform == config["platform"]]
            if config.keys() == {"platform"}:
                for name in mine:
                    del self.entities[name]
                if not mine:
                    self.errors.append("%s: %s is not there to be taken away" % (topic, component_id))
            elif not mine:  # what an update leaves out stays as it is
                entity = Entity(config["platform"], config, [a["topic"] for a in message.get("availability", [])])
                entity.topic, entity.component = topic, component_id
                self.entities[config["default_entity_id"]] = entity
                if config["state_topic"] in self.last:  # retained
                    self.state(entity, self.last[config["state_topic"]])

    def shown(self, entity_id):
        entity = self.entities[entity_id]
        if any(self.last.get(topic) != "online" for topic in entity.availability):
            return "unavailable"
        return "unknown" if entity.value is None else entity.value

    def state(self, entity, payload):
        name = entity.config["default_entity_id"]
        variables = {"value": payload, "this": {"state": self.shown(name) if name in self.entities else "unknown"}}
        try:
            variables["value_json"] = json.loads(payload)
        except ValueError:
            pass
        try:
            text = entity.template.render(variables).strip()
        except jinja2.TemplateError as error:
            self.errors.append("%s: %s: %s" % (name, payload, error))
            return
        value = getattr(self, entity.platform)(entity, text)
        if value is False:
            self.errors.append("%s: %r of %s is not taken" % (name, text, payload))
        elif value is not True:
            entity.value = value
            entity.history.append((value, payload))

    # What each makes of a text: a value, None for unknown, True when it is ignored, False when that is logged.

    @staticmethod
    def sensor(entity, text):
        config = entity.config
        if text == "None":
            return None
        if "options" in config:
            return text if text in config["options"] else False
        if any(key in config for key in ("unit_of_measurement", "state_class", "device_class", "suggested_display_precision")):
            if text == "":
                return True
            try:
                float(text)
            except ValueError:
                return False
        return text

    @staticmethod
    def binary_sensor(entity, text):
        words = {entity.config["payload_on"]: "on", entity.config["payload_off"]: "off", "None": None, "": True}
        return words.get(text, False)

    switch = binary_sensor

    @staticmethod
    def number(entity, text):
        if text == "" or text == "None":
            return True if text == "" else None
        try:
            number = float(text)
        except ValueError:
            return False
        return text if entity.config["min"] <= number <= entity.config["max"] else False

    @staticmethod
    def select(entity, text):
        if text == "":
            return True
        return None if text == "None" else text if text in entity.config["options"] else False
