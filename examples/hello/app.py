from oxidite import Oxidite

app = Oxidite()


@app.get("/")
async def hello(name: str = "world") -> str:
    return f"Hello, {name}!"
