from espnet_vibevoice.score.report.markup import Markup, element, escape, join


def test_element_text_and_attributes_are_escaped():
    made = element("p", '<b> & "', title='"><script>')
    assert made == ('<p title="&quot;&gt;&lt;script&gt;">&lt;b&gt; &amp; &quot;</p>')
    assert isinstance(made, Markup)


def test_element_within_element_is_not_escaped_twice():
    assert element("p", element("b", "<"), " & ") == "<p><b>&lt;</b> &amp; </p>"


def test_element_attribute_names_and_absent_values():
    made = element("input", class_="a", data_id=3, hidden=True, id=None, disabled=False)
    assert made == '<input class="a" data-id="3" hidden>'


def test_escape_and_join_leave_markup_alone():
    assert escape(Markup("<i>")) == "<i>"
    assert join(["<", Markup("<br>")]) == "&lt;<br>"
