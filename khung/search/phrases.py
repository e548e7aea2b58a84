"""The phrases of soft facets in both languages: colours, times of day, weather, places, emotions, other names of objects.

Lines are `value: phrase | phrase …`, as `lexicon.py` reads them; nothing here but words.
"""

COLORS = """
red: !đỏ | red | màu đỏ | crimson
orange: !cam | màu cam | da cam | orange
yellow: !vàng | màu vàng | yellow
green: xanh lá | xanh lá cây | xanh lục | màu xanh lá | màu xanh lá cây | xanh rêu | xanh ngọc | green
blue: xanh dương | xanh da trời | xanh nước biển | xanh biển | xanh lam | màu xanh dương | xanh đậm | xanh nhạt | blue
blue,green: xanh | màu xanh
purple: !tím | màu tím | purple | violet
pink: !hồng | màu hồng | pink
brown: !nâu | màu nâu | brown
grey: !xám | màu xám | gray | grey
black: !đen | màu đen | black
white: !trắng | màu trắng | white
"""
TIMES = """
dawn: bình minh | rạng sáng | rạng đông | lúc mặt trời mọc | dawn | sunrise | daybreak
morning: buổi sáng | sáng sớm | ban sáng | morning
noon: buổi trưa | giữa trưa | ban trưa | noon | midday
afternoon: buổi chiều | ban chiều | afternoon
dusk: hoàng hôn | chiều tà | chạng vạng | xế chiều | mặt trời lặn | sunset | dusk | twilight
evening: buổi tối | chập tối | evening
night: ban đêm | !đêm | đêm khuya | về đêm | buổi đêm | nửa đêm | trời tối | night | nighttime | midnight | at night
day: ban ngày | by day | during the day | daytime | daylight
"""
WEATHER = """
rainy: !mưa | trời mưa | mưa to | mưa phùn | cơn mưa | rain | rainy | raining
sunny: !nắng | trời nắng | nắng gắt | sunny | sunshine
cloudy: nhiều mây | trời âm u | u ám | mây mù | trời nhiều mây | cloudy | overcast
foggy: sương mù | foggy | fog | misty | mist
snowy: !tuyết | có tuyết | tuyết rơi | snow | snowy | snowing
windy: gió mạnh | gió to | windy
stormy: !bão | !giông | giông bão | dông bão | sấm sét | storm | stormy | thunderstorm
"""
PLACES = """
indoor: trong nhà | trong phòng | bên trong nhà | indoor | indoors | inside a room | inside a house | inside a building
outdoor: ngoài trời | ngoài đường | outdoor | outdoors | outside
"""
EMOTIONS = """
happy: !vui | vui vẻ | vui mừng | hạnh phúc | mỉm cười | !cười | tươi cười | happy | smiling | joyful | cheerful | laughing
sad: !buồn | buồn bã | !khóc | đau buồn | sad | crying | unhappy
angry: tức giận | giận dữ | nổi giận | cáu giận | angry | furious
surprise: ngạc nhiên | surprise | bất ngờ | sửng sốt | surprised | astonished
fear: sợ hãi | fear | hoảng sợ | lo sợ | kinh hãi | scared | afraid | frightened
disgust: ghê tởm | disgust | kinh tởm | disgusted
neutral: bình thản | neutral
neutral,calm: bình tĩnh | điềm tĩnh | thư giãn | calm | relaxed
excited: hào hứng | phấn khích | excited | thrilled
worried: lo lắng | lo âu | worried | anxious
proud: tự hào | proud
tired: mệt mỏi | tired | exhausted
focused: tập trung | chăm chú | focused | concentrating
"""
# What only looks like a facet: to pull is no pair of scissors, a policy no book.
PLAIN = """
plain: kéo lưới | kéo co | kéo dài | kéo theo | kéo xe | kéo vali | kéo cờ | kéo thuyền | chính sách | ngân sách | danh sách | sông hồng | cam kết | cam ranh
plain: nhảy dù | dù lượn | mặc dù | dù trời | dù cho | dù là | dù sao | world cup | bò sát | bé bò | đang bò | bò trên | bò vào | bò ra | tập trung đông
"""
# Other words for the classes of khung.vision's objects.tsv, whose own names are added below.
SYNONYMS = """
person: người đàn ông | đàn ông | người phụ nữ | phụ nữ | cô gái | chàng trai | em bé | trẻ em | đứa trẻ | cậu bé | cô bé | bé gái | bé trai | em học sinh | học sinh | đám đông | bà cụ | ông cụ
person: man | men | woman | women | boy | girl | child | children | kid | kids | crowd | lady | guy
bicycle: bike
car: cái ô tô | xe hơi | xe ô tô | xe con | xe taxi | taxi
motorcycle: xe mô tô | mô tô | motorbike | scooter
airplane: phi cơ | plane | aircraft
bus: xe bus | xe khách
train: xe lửa | tàu điện | đoàn tàu
truck: lorry
boat: thuyền | con thuyền | !xuồng | !ghe | tàu thuyền | tàu thủy | ship
car,motorcycle,bus,truck,bicycle: xe | xe cộ | phương tiện | vehicle
traffic light: đèn tín hiệu | đèn xanh đèn đỏ
fire hydrant: vòi cứu hỏa
parking meter: đồng hồ đỗ xe
bench: ghế dài | băng ghế | ghế đá
bird: chim | đàn chim
cat: !mèo | mèo con
dog: !chó | chó con | puppy
horse: !ngựa
sheep: !cừu
cow: !bò | đàn bò | con trâu | cattle
elephant: !voi
bear: !gấu
backpack: balo
umbrella: cái ô | ô dù | !dù | cây dù
handbag: purse
tie: necktie
suitcase: vali | luggage
frisbee: đĩa bay
sports ball: quả bóng | trái bóng | ball
kite: cánh diều | !diều
baseball glove: găng bóng chày
tennis racket: vợt tennis
bottle: chai nước | !chai
wine glass: ly vang
cup: cái tách | !cốc | !tách | ly cà phê | tách trà | mug
fork: cái nĩa | dĩa ăn | !nĩa
knife: !dao
spoon: !thìa | !muỗng
bowl: cái tô | bát cơm
banana: !chuối
apple: trái táo
orange: trái cam
broccoli: súp lơ
hot dog: xúc xích kẹp
donut: doughnut
cake: bánh kem | bánh sinh nhật
chair: cái ghế | !ghế | ghế ngồi
couch: ghế sofa | sofa | đi văng
potted plant: cây cảnh
bed: cái giường | !giường
dining table: cái bàn | table
tv: ti vi | tivi | màn hình tivi | television
mouse: computer mouse
remote: remote control
cell phone: điện thoại di động | phone | smartphone
toaster: máy nướng bánh
sink: chậu rửa
refrigerator: fridge
book: cuốn sách | !sách
clock: đồng hồ treo tường
vase: lọ hoa
scissors: !kéo
hair drier: hair dryer
"""
