#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace culm {

/// A JSON value. Keeps members in the order in which they were added, so that output reads as it
/// was written. nlohmann-json reads and writes the text, in one file; its headers are too large to
/// be compiled with every verb.
///
///     Json line = {{"log", name}, {"entries", count}};
///     if (is_ended) line["head"] = head;
///     print(to_line(line));
class Json {
 public:
  using Member = std::pair<std::string, Json>;

  Json() noexcept = default;  ///< null
  Json(std::nullptr_t) noexcept {}
  Json(bool value) : value_(value) {}
  template <std::integral Number>
  Json(Number value) {
    if (std::cmp_less(value, 0)) {
      value_ = static_cast<std::int64_t>(value);
    } else {
      value_ = static_cast<std::uint64_t>(value);
    }
  }
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  template <class T>
  Json(T*) = delete;  ///< would pass for a boolean
  Json(const std::vector<std::string>& values);
  Json(const std::vector<std::uint64_t>& values);
  struct NewMember;
  /// An object.
  Json(std::initializer_list<NewMember> members);
  [[nodiscard]] static Json object();
  [[nodiscard]] static Json array();

  Json(const Json&);
  Json(Json&&) noexcept;
  Json& operator=(const Json&);
  Json& operator=(Json&&) noexcept;
  ~Json();

  /// The member `key` of an object, null and added where there is none.
  Json& operator[](std::string_view key);
  /// Sets all members of another object.
  void update(const Json& other);
  /// Adds to an array.
  void push_back(Json value);

  /// The member `key` of an object if it is there and of that kind: what comes from outside is
  /// asked for what it should be.
  [[nodiscard]] const Json* find(std::string_view key) const;
  [[nodiscard]] const std::string* find_text(std::string_view key) const;
  [[nodiscard]] const Json* find_object(std::string_view key) const;
  [[nodiscard]] std::optional<bool> find_bool(std::string_view key) const;
  /// Integers from 0 on.
  [[nodiscard]] std::optional<std::uint64_t> find_number(std::string_view key) const;
  /// Any number.
  [[nodiscard]] std::optional<double> find_real(std::string_view key) const;
  [[nodiscard]] const std::vector<Json>* find_array(std::string_view key) const;
  /// An array of texts, of nothing else.
  [[nodiscard]] std::optional<std::vector<std::string>> find_texts(std::string_view key) const;

 private:
  friend struct JsonText;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;

  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object>
      value_;
};

/// One of the members that an object is made of.
struct Json::NewMember {
  std::string_view key;
  Json value;
};

/// One line without its line end. Text that is not UTF-8 is replaced, never refused.
[[nodiscard]] std::string to_line(const Json& value);

/// Arrays and objects within each other that `parse_json_object` takes.
inline constexpr int kJsonDepthMax = 16;

/// The object that `text` is; nothing if it is none, or nested more deeply than kJsonDepthMax.
[[nodiscard]] std::optional<Json> parse_json_object(std::string_view text);

/// A member that `pick_texts` looked for.
struct PickedText {
  bool is_present = false;
  std::optional<std::string> text;  ///< nothing where the member is no text
};

/// Picks members with the names `keys` out of the object that `line` is, without building the rest
/// of it. Of a name that comes twice the second counts. Fails when `line` is no object.
/// `picked` has the size of `keys`.
[[nodiscard]] bool pick_texts(std::string_view line, std::span<const std::string_view> keys,
                              std::span<PickedText> picked);

}  // namespace culm
