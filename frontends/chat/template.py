def read_chat_template(p):
    return None


def read_special_tokens(p):
    return {}
