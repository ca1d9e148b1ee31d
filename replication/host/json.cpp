#include "culm/replication/host/json.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace culm {

/// To and from the library's value.
struct JsonText {
  using Value = nlohmann::ordered_json;

  static Value to_value(const Json& json) {
    return std::visit([](const auto& stored) { return convert(stored); }, json.value_);
  }

  static Json to_json(const Value& value) {
    switch (value.type()) {
      case Value::value_t::boolean:
        return value.get<bool>();
      case Value::value_t::number_integer:
        return value.get<std::int64_t>();
      case Value::value_t::number_unsigned:
        return value.get<std::uint64_t>();
      case Value::value_t::number_float:
        return value.get<double>();
      case Value::value_t::string:
        return value.get<std::string>();
      case Value::value_t::array: {
        Json array = Json::array();
        for (const Value& item : value) array.push_back(to_json(item));
        return array;
      }
      case Value::value_t::object: {
        Json object = Json::object();
        for (const auto& [key, member] : value.items()) object[key] = to_json(member);
        return object;
      }
      default:
        return {};
    }
  }

 private:
  static Value convert(std::monostate /*null*/) { return {}; }
  static Value convert(const Json::Array& array) {
    Value value = Value::array();
    for (const Json& item : array) value.push_back(to_value(item));
    return value;
  }
  static Value convert(const Json::Object& object) {
    Value value = Value::object();
    for (const auto& [key, member] : object) value[key] = to_value(member);
    return value;
  }
  template <class Scalar>
  static Value convert(const Scalar& scalar) {
    return scalar;
  }
};

Json::Json(const std::vector<std::string>& values) : value_(Array(values.begin(), values.end())) {}
Json::Json(const std::vector<std::uint64_t>& values)
    : value_(Array(values.begin(), values.end())) {}
Json::Json(std::initializer_list<NewMember> members) {
  Object& object = value_.emplace<Object>();
  object.reserve(members.size());
  for (const auto& [key, value] : members) object.emplace_back(key, value);
}

Json Json::object() {
  Json json;
  json.value_ = Object();
  return json;
}
Json Json::array() {
  Json json;
  json.value_ = Array();
  return json;
}

Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;

Json& Json::operator[](std::string_view key) {
  Object& object = std::get<Object>(value_);
  const auto found = std::ranges::find(object, key, &Member::first);
  return found != object.end() ? found->second : object.emplace_back(key, Json()).second;
}

void Json::update(const Json& other) {
  for (const auto& [key, member] : std::get<Object>(other.value_)) (*this)[key] = member;
}

void Json::push_back(Json value) { std::get<Array>(value_).push_back(std::move(value)); }

const Json* Json::find(std::string_view key) const {
  const Object* const object = std::get_if<Object>(&value_);
  if (object == nullptr) return nullptr;
  const auto found = std::ranges::find(*object, key, &Member::first);
  return found != object->end() ? &found->second : nullptr;
}

const std::string* Json::find_text(std::string_view key) const {
  const Json* const found = find(key);
  return found != nullptr ? std::get_if<std::string>(&found->value_) : nullptr;
}

const Json* Json::find_object(std::string_view key) const {
  const Json* const found = find(key);
  return found != nullptr && std::holds_alternative<Object>(found->value_) ? found : nullptr;
}

std::optional<bool> Json::find_bool(std::string_view key) const {
  const Json* const found = find(key);
  const bool* const value = found != nullptr ? std::get_if<bool>(&found->value_) : nullptr;
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::uint64_t> Json::find_number(std::string_view key) const {
  const Json* const found = find(key);
  const auto* const value = found != nullptr ? std::get_if<std::uint64_t>(&found->value_) : nullptr;
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<double> Json::find_real(std::string_view key) const {
  const Json* const found = find(key);
  if (found == nullptr) return std::nullopt;
  const auto to_real = [](const auto& stored) -> std::optional<double> {
    using Stored = std::remove_cvref_t<decltype(stored)>;
    if constexpr (std::is_arithmetic_v<Stored> && !std::is_same_v<Stored, bool>) {
      return static_cast<double>(stored);
    } else {
      return std::nullopt;
    }
  };
  return std::visit(to_real, found->value_);
}

const std::vector<Json>* Json::find_array(std::string_view key) const {
  const Json* const found = find(key);
  return found != nullptr ? std::get_if<Array>(&found->value_) : nullptr;
}

std::optional<std::vector<std::string>> Json::find_texts(std::string_view key) const {
  const Array* const array = find_array(key);
  if (array == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  for (const Json& item : *array) {
    const auto* const text = std::get_if<std::string>(&item.value_);
    if (text == nullptr) return std::nullopt;
    texts.push_back(*text);
  }
  return texts;
}

std::string to_line(const Json& value) {
  using Value = JsonText::Value;
  return JsonText::to_value(value).dump(-1, ' ', false, Value::error_handler_t::replace);
}

std::optional<Json> parse_json_object(std::string_view text) {
  using Value = JsonText::Value;
  bool is_too_deep = false;
  const auto keep = [&](int depth, Value::parse_event_t /*event*/, Value& /*value*/) {
    is_too_deep = is_too_deep || depth > kJsonDepthMax;
    return !is_too_deep;
  };
  const Value value = Value::parse(text.begin(), text.end(), keep, false);
  if (is_too_deep || !value.is_object()) return std::nullopt;
  return JsonText::to_json(value);
}

namespace {

class TextPicker final : public nlohmann::json_sax<JsonText::Value> {
 public:
  TextPicker(std::span<const std::string_view> keys, std::span<PickedText> picked)
      : keys_(keys), picked_(picked) {}

  [[nodiscard]] bool is_object() const noexcept { return is_object_; }

  bool null() override { return other(); }
  bool boolean(bool /*value*/) override { return other(); }
  bool number_integer(number_integer_t /*value*/) override { return other(); }
  bool number_unsigned(number_unsigned_t /*value*/) override { return other(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return other(); }
  bool binary(binary_t& /*value*/) override { return other(); }
  bool string(string_t& value) override {
    if (PickedText* const member = std::exchange(member_, nullptr)) {
      *member = {true, std::move(value)};
    }
    return true;
  }
  bool start_object(std::size_t /*size*/) override {
    if (depth_ == 0) is_object_ = true;
    ++depth_;
    return other();
  }
  bool key(string_t& name) override {
    const auto found = std::ranges::find(keys_, name);
    const bool is_wanted = depth_ == 1 && found != keys_.end();
    member_ = is_wanted ? &picked_[static_cast<std::size_t>(found - keys_.begin())] : nullptr;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t /*size*/) override {
    ++depth_;
    return other();
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  bool other() {
    if (PickedText* const member = std::exchange(member_, nullptr)) *member = {true, {}};
    return true;
  }

  std::span<const std::string_view> keys_;
  std::span<PickedText> picked_;
  std::size_t depth_ = 0;
  bool is_object_ = false;
  PickedText* member_ = nullptr;  // whose name was just read
};

}  // namespace

bool pick_texts(std::string_view line, std::span<const std::string_view> keys,
                std::span<PickedText> picked) {
  TextPicker picker(keys, picked);
  return JsonText::Value::sax_parse(line.begin(), line.end(), &picker) && picker.is_object();
}

}  // namespace culm
